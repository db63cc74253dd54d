"""Everything the store refuses. One base; a message carries what came and what was allowed, `advice` what to do.

Rules of this file: sqlite3's and the operating system's exceptions never leave the store as themselves.
"""

from __future__ import annotations


class StoreError(Exception):
    """The store cannot do what was asked: disk full, damaged file, a newer schema."""

    def __init__(self, message: str, *, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice


class NoStoreError(StoreError):
    """The folder holds no store: its name was mistyped, or nothing was made there yet."""


class StoreBusyError(StoreError):
    """Another process already writes into this store."""


class UnknownSensorError(StoreError):
    """The sensor has no record here, so its tenant cannot be known."""


class TooScatteredError(StoreError):
    """The sensor's numbers have more holes and epochs than are kept of one sensor."""


class NoSuchAlertError(StoreError):
    """No alert has that id, or no longer."""


class ConflictError(StoreError):
    """The record exists already, or is no longer in the state that was asked for (a used token)."""
