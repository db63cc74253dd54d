"""control.db as one object: short transactions over the nouns of provisioning (tenants, sites, sensors, tokens, audit).

Rules of this file: it owns the connection, the lock and the transaction, nothing else. The SQL of each noun is in the
file of that noun, as functions over a connection, so that several of them can be one transaction:

    with control.transaction() as connection:
        tokens.use(connection, ...)
        sensors.add(connection, ...)
        audit.record(connection, ...)

Transactions that wait together may reach the disk together (`group`): a slow disk takes the time of one for all.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from collector_client.store.connect import CONTROL_NAME, open_control, translated
from collector_client.store.errors import ConflictError

# How a transaction begins, is kept and is undone: by itself, and within a group.
_ALONE = ("BEGIN IMMEDIATE", "COMMIT", ("ROLLBACK",))
_NESTED = ("SAVEPOINT one", "RELEASE one", ("ROLLBACK TO one", "RELEASE one"))


class Control:
    """A connection to control.db; thread-safe: one transaction at a time."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection
        self._mutex = threading.RLock()
        self._grouping = False

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
            begin, keep, undo = _NESTED if self._grouping else _ALONE
            self._connection.execute(begin)
            try:
                yield self._connection
                self._connection.execute(keep)
            except BaseException:
                if self._connection.in_transaction:
                    for statement in undo:
                        self._connection.execute(statement)
                raise

    @contextlib.contextmanager
    def group(self) -> Iterator[None]:
        """Transactions of this thread that become durable together, at the end of the block; each is still all or
        nothing. When the block fails, none of them happened.

        Raises:
            StoreError: the disk or the file failed.
        """
        with self._mutex, translated(str(self._path)):
            self._connection.execute("BEGIN IMMEDIATE")
            self._grouping = True
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            finally:
                self._grouping = False

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent look; takes no write lock."""
        with self._mutex, translated(str(self._path)):
            if self._grouping:
                yield self._connection
                return
            self._connection.execute("BEGIN")
            try:
                yield self._connection
            finally:
                self._connection.execute("ROLLBACK")

    def version(self) -> int:
        """A number that is another one whenever another connection, of any process, has changed something."""
        with self._mutex, translated(str(self._path)):
            return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        with self._mutex:
            self._connection.close()
