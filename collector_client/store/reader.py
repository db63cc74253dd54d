"""A look into the store that can change nothing: control.db and the months' files, each opened read-only.

Rules of this file: one Reader for one question or page, closed after it; it never waits for the writer (WAL) and never
makes it wait. Files that appear or go between two questions are no error.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from types import TracebackType

from collector_client.store.clock import Clock
from collector_client.store.connect import months_present, open_control, open_month
from collector_client.store.errors import StoreError


class Reader:
    """Read-only connections, opened when first asked for. Not thread-safe."""

    def __init__(self, directory: Path, clock: Clock, control: sqlite3.Connection) -> None:
        self.now_ns = clock.wall_ns()
        self.control = control
        self._directory = directory
        self._months: dict[str, sqlite3.Connection] = {}

    @classmethod
    def open(cls, directory: Path, clock: Clock) -> Reader:
        """Open an existing store.

        Raises:
            StoreError: there is none, or it cannot be read.
        """
        return cls(directory, clock, open_control(directory, read_only=True))

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every file."""
        self.control.close()
        for connection in self._months.values():
            connection.close()

    def month(self, month: str) -> sqlite3.Connection | None:
        """That month's alerts, or None when it has no file (any more)."""
        if month not in self._months:
            if month not in months_present(self._directory):
                return None
            try:
                self._months[month] = open_month(self._directory, month, read_only=True)
            except StoreError:
                if month in months_present(self._directory):
                    raise
                return None
        return self._months[month]

    def months(
        self, since_ns: int | None = None, until_ns: int | None = None, *, all_files: bool = False
    ) -> list[tuple[str, sqlite3.Connection]]:
        """Months that may hold alerts of `since_ns` <= ts < `until_ns`, newest first; `all_files`: also without alerts.

        A file holds what came in its month, whatever time the sensor gave it, so its own oldest and newest decide.
        """
        out = []
        for month in reversed(months_present(self._directory)):
            connection = self.month(month)
            if connection is None or not connection.execute("PRAGMA user_version").fetchone()[0]:
                continue  # made a moment ago, its tables are not committed yet
            if all_files:
                out.append((month, connection))
                continue
            (oldest,) = connection.execute("SELECT MIN(ts_ns) FROM alerts").fetchone()
            (newest,) = connection.execute("SELECT MAX(ts_ns) FROM alerts").fetchone()
            if oldest is None or (since_ns is not None and newest < since_ns):
                continue
            if until_ns is not None and oldest >= until_ns:
                continue
            out.append((month, connection))
        return out
