"""The analyst's read-only pages over the store. Front door: `create_app`."""

from collector_client.analyst.web import create_app

__all__ = ["create_app"]
