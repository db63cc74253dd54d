"""The command line `vedette-collector`. Front door: `main`, and `build_parser` for the documentation."""

from collector_client.cli.main import build_parser, main

__all__ = ["build_parser", "main"]
