"""The box's command line: `main` is the front door."""

from appliance.cli.main import main

__all__ = ["main"]
