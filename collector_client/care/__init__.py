"""Looking after a store: is it whole, and a copy of it. Front door: `verify_store`, `backup`, `restore`."""

from collector_client.care.backup import backup, restore
from collector_client.care.verify import Report, verify_store

__all__ = ["Report", "backup", "restore", "verify_store"]
