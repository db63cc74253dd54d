"""Opening the store's files: names, pragmas, and the one writer's lock.

Rules of this file: every connection of the collector is made here. WAL with synchronous=FULL: a commit is on disk when
it returns. `wal_autocheckpoint` is 20 000 pages because the default of 1 000 made large stores far slower to fill.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from collector_client.store.errors import NoStoreError, StoreBusyError, StoreError
from collector_client.store.schema import ALERT_MIGRATIONS, CONTROL_MIGRATIONS, migrate

CONTROL_NAME = "control.db"
MONTH_NAME = re.compile(r"alerts-(\d{4}-\d{2})\.db")
BUSY_TIMEOUT_MS = 10_000


def month_of(received_ns: int) -> str:
    """The month (`YYYY-MM`, UTC) in whose file something received then is kept."""
    return datetime.fromtimestamp(received_ns // 1_000_000_000, UTC).strftime("%Y-%m")


def month_path(directory: Path, month: str) -> Path:
    """Where that month's alerts are."""
    return directory / f"alerts-{month}.db"


def months_present(directory: Path) -> list[str]:
    """The months that have a file, oldest first."""
    return sorted(found[1] for path in directory.iterdir() if (found := MONTH_NAME.fullmatch(path.name)))


@contextlib.contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn sqlite3's and the system's exceptions into `StoreError`, naming the file or deed they belong to."""
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(f"{what}: {error}", advice="check free space, permissions and the disk's health") from error
    except OSError as error:
        raise StoreError(f"{what}: {error.strerror or error}", advice="check free space and permissions") from error


def _connect(path: Path, migrations: Sequence[str], *, create: bool, read_only: bool) -> sqlite3.Connection:
    mode = "ro" if read_only else "rwc" if create else "rw"
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,  # transactions are begun and ended where they can be seen
        timeout=BUSY_TIMEOUT_MS / 1000,
        check_same_thread=False,  # owners hold their own lock; one connection is never used by two threads at a time
    )
    try:
        if read_only:
            connection.execute("PRAGMA query_only = 1")
        else:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA wal_autocheckpoint = 20000")
        connection.execute("PRAGMA foreign_keys = 1")
        if not read_only:
            migrate(connection, migrations, str(path))
    except BaseException:
        connection.close()
        raise
    return connection


def open_control(directory: Path, *, create: bool = False, read_only: bool = False) -> sqlite3.Connection:
    """Open control.db; a writing connection also brings its schema up to date.

    Raises:
        NoStoreError: there is none, and `create` is false.
        StoreError: it is damaged, or it is newer than this program.
    """
    path = directory / CONTROL_NAME
    if not create and not path.exists():
        raise NoStoreError(f"{path}: no such store", advice=f"make one: vedette-collector init {directory}")
    with translated(str(path)):
        if create:
            _make_private(path)
        return _connect(path, CONTROL_MIGRATIONS, create=create, read_only=read_only)


def open_month(directory: Path, month: str, *, read_only: bool = False) -> sqlite3.Connection:
    """Open one month's alert file; a writing connection creates it and brings its schema up to date.

    Raises:
        StoreError: it cannot be opened, is damaged, or is newer than this program.
    """
    path = month_path(directory, month)
    with translated(str(path)):
        if not read_only and not path.exists():
            _make_private(path)
        return _connect(path, ALERT_MIGRATIONS, create=True, read_only=read_only)


def _make_private(path: Path) -> None:
    """An empty file that only we may read (SQLite's side files take its mode), its name on disk before it is filled."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def lock_for_writing(directory: Path) -> int:
    """Take the store's one writer's place; the kernel gives it back when the process ends, however it ends.

    Returns:
        The lock's file descriptor; closing it frees the place.

    Raises:
        StoreBusyError: another process holds it.
    """
    path = directory / "writer.lock"
    with translated(str(path)):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise StoreBusyError(
            f"{directory}: another process writes into this store, one is allowed",
            advice="stop the other vedette-collector serve, or use another directory",
        ) from None
    return descriptor
