"""control.db as one object: short transactions over the nouns of provisioning (tenants, sites, sensors, tokens, audit).

Rules of this file: it owns the connection, the lock and the transaction, nothing else. The SQL of each noun is in the
file of that noun, as functions over a connection, so that several of them can be one transaction:

    with control.transaction() as connection:
        tokens.use(connection, ...)
        sensors.add(connection, ...)
        audit.record(connection, ...)
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from collector_client.store.connect import CONTROL_NAME, open_control, translated
from collector_client.store.errors import ConflictError


class Control:
    """A connection to control.db; thread-safe: one transaction at a time."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection
        self._mutex = threading.Lock()

    @classmethod
    def create(cls, directory: Path) -> Control:
        """Make an empty control.db.

        Raises:
            ConflictError: there is one already.
            StoreError: the directory cannot be written.
        """
        path = directory / CONTROL_NAME
        if path.exists():
            raise ConflictError(f"{path} exists, an empty directory was expected", advice="name another directory")
        return cls(path, open_control(directory, create=True))

    @classmethod
    def open(cls, directory: Path) -> Control:
        """Open the control.db of an existing store.

        Raises:
            StoreError: there is none, it is damaged, or it is newer than this program.
        """
        return cls(directory / CONTROL_NAME, open_control(directory))

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One durable all-or-nothing change; an exception inside undoes it and passes through.

        Raises:
            StoreError: the disk or the file failed.
        """
        with self._mutex, translated(str(self._path)):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent look; takes no write lock."""
        with self._mutex, translated(str(self._path)):
            self._connection.execute("BEGIN")
            try:
                yield self._connection
            finally:
                self._connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close the file."""
        with self._mutex:
            self._connection.close()
