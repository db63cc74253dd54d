"""One file that a whole collector can be made from again: databases, certificates, keys, configuration.

Rules of this file: a backup may be made while the collector runs. Months that are over are copied first; then
control.db is locked against writing for as long as the newest month and control.db itself are copied (SQLite's backup
API), so that the copy knows every sensor whose alerts it has, and claims no alert that it has not. The file appears
whole or not at all, mode 0600: it holds the CA's keys. `restore` takes only names it knows, checks each digest, and
never writes over a collector.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from collector_client.config import CONFIG_NAME
from collector_client.errors import EnvironmentFault, OperatorError
from collector_client.pki import PKI_NAME
from collector_client.pki.register import REGISTER_NAME
from collector_client.pki.tpm_trust import ALLOWED_NAME, DEVELOPMENT_NAME, MAKERS_NAME
from collector_client.store import StoreError
from collector_client.store.connect import (
    CONTROL_NAME,
    month_path,
    months_present,
    open_control,
    open_month,
    translated,
)

MANIFEST_NAME = "manifest.json"
FORMAT = 1
_KNOWN = re.compile(
    rf"{re.escape(CONFIG_NAME)}|control\.db|alerts-\d{{4}}-\d{{2}}\.db|{PKI_NAME}/(?:[a-z]+(?:-[1-9]\d{{0,3}})?\.(?:pem|key|csr)|{re.escape(REGISTER_NAME)})"
    rf"|{PKI_NAME}/{ALLOWED_NAME}|{PKI_NAME}/(?:{MAKERS_NAME}|{DEVELOPMENT_NAME})/[^/\0]+\.pem",
    re.ASCII,
)
_MAX_MANIFEST_BYTES = 1024 * 1024


def backup(directory: Path, target: Path) -> list[str]:
    """Write a backup of a collector.

    Returns:
        The names of the files in it.

    Raises:
        OperatorError: the target exists, or there is no collector.
        EnvironmentFault: the disk or its permissions refuse.
        StoreError: the store cannot be read, or is busy for too long.
    """
    if target.exists():
        raise OperatorError(f"{target}: exists already, a new file was allowed")
    if not (directory / CONFIG_NAME).exists():
        raise OperatorError(f"{directory}: no collector is there", advice="name the folder that init made")
    with _faults(target), tempfile.TemporaryDirectory(dir=target.parent, prefix=".backup-") as scratch:
        folder = Path(scratch)
        _copy_databases(directory, folder)
        shutil.copy2(directory / CONFIG_NAME, folder / CONFIG_NAME)
        (folder / PKI_NAME).mkdir(mode=0o700)
        for path in sorted((directory / PKI_NAME).rglob("*")):
            name = str(path.relative_to(directory))
            if _KNOWN.fullmatch(name):
                (folder / name).parent.mkdir(mode=0o700, exist_ok=True)
                shutil.copy2(path, folder / name)
        names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
        packed = folder / ".packed"
        with packed.open("xb") as file, tarfile.open(fileobj=file, mode="w") as archive:
            packed.chmod(0o600)
            manifest = {"format": FORMAT, "sha256": {name: _digest(folder / name) for name in names}}
            _add(archive, MANIFEST_NAME, io.BytesIO(json.dumps(manifest, indent=1).encode()))
            for name in names:
                with (folder / name).open("rb") as source:
                    _add(archive, name, source)
            archive.close()
            file.flush()
            os.fsync(file.fileno())
        # A link, not a rename: it fails where the name has been taken in the meantime.
        os.link(packed, target)
    return names


def _copy_databases(directory: Path, folder: Path) -> None:
    with translated(str(directory)):
        finished = months_present(directory)[:-1]
        for month in finished:
            with closing(open_month(directory, month, read_only=True)) as source:
                _copy(source, month_path(folder, month))
        with closing(open_control(directory)) as lock:
            lock.execute("BEGIN IMMEDIATE")
            for month in months_present(directory):
                if month not in finished:
                    with closing(open_month(directory, month, read_only=True)) as source:
                        _copy(source, month_path(folder, month))
            with closing(open_control(directory, read_only=True)) as source:
                _copy(source, folder / CONTROL_NAME)
            lock.execute("ROLLBACK")


def _copy(source: sqlite3.Connection, path: Path) -> None:
    with closing(sqlite3.connect(path)) as target:
        source.backup(target)
    path.chmod(0o600)


def restore(archive_path: Path, directory: Path) -> list[str]:
    """Make a collector from a backup, in a folder that holds none.

    Returns:
        The names of the files written.

    Raises:
        OperatorError: the folder is not empty, or the file is no backup, is damaged, or holds names that are not ours.
        EnvironmentFault: the disk or its permissions refuse.
    """
    if directory.exists() and any(directory.iterdir()):
        raise OperatorError(f"{directory}: is not empty, a new folder was allowed", advice="nothing was changed")
    with _faults(directory):
        directory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".restore-") as scratch:
            folder = Path(scratch) / "collector"
            folder.mkdir(mode=0o700)
            try:
                with tarfile.open(archive_path, mode="r:") as archive:
                    names = _unpack(archive, archive_path, folder)
            except (tarfile.TarError, EOFError) as error:
                raise OperatorError(f"{archive_path}: no backup, or cut off ({error})") from error
            if directory.exists():
                directory.rmdir()
            folder.rename(directory)
    return names


def _unpack(archive: tarfile.TarFile, where: Path, folder: Path) -> list[str]:
    first = archive.next()
    if first is None or first.name != MANIFEST_NAME or first.size > _MAX_MANIFEST_BYTES:
        raise OperatorError(f"{where}: no backup of a collector ({MANIFEST_NAME} does not come first)")
    expected = _manifest(archive, where, first)
    seen: list[str] = []
    while (member := archive.next()) is not None:
        source = archive.extractfile(member) if member.isreg() else None
        if source is None or member.name not in expected or member.name in seen:
            raise OperatorError(f"{where}: {member.name[:80]!r} came, only files of the manifest were allowed")
        path = folder / member.name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
            shutil.copyfileobj(source, target)
            target.flush()
            os.fsync(target.fileno())
        if _digest(path) != expected[member.name]:
            raise OperatorError(f"{where}: {member.name} is damaged (SHA-256 differs)")
        seen.append(member.name)
    missing = set(expected) - set(seen)
    if missing or not {CONFIG_NAME, CONTROL_NAME} <= set(seen):
        raise OperatorError(f"{where}: cut off, {', '.join(sorted(missing)) or CONTROL_NAME} is missing")
    return seen


def _manifest(archive: tarfile.TarFile, where: Path, member: tarfile.TarInfo) -> dict[str, str]:
    source = archive.extractfile(member)
    try:
        manifest = json.loads(source.read() if source is not None else b"")
        expected = dict(manifest["sha256"])
        version = manifest["format"]
    except (ValueError, TypeError, KeyError) as error:
        raise OperatorError(f"{where}: the manifest does not read ({error})") from error
    if version != FORMAT:
        raise OperatorError(f"{where}: format {version!r} came, {FORMAT} was allowed", advice="use a newer collector")
    for name in expected:
        if not _KNOWN.fullmatch(name):
            raise OperatorError(f"{where}: {name[:80]!r} came, only a collector's files were allowed")
    return expected


def _add(archive: tarfile.TarFile, name: str, source: io.BufferedIOBase) -> None:
    member = tarfile.TarInfo(name)
    member.size = source.seek(0, os.SEEK_END)
    member.mode = 0o600
    source.seek(0)
    archive.addfile(member, source)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _faults(where: Path) -> Iterator[None]:
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        raise EnvironmentFault(
            f"{error.filename or where}: {error.strerror or error}", advice="check free space and permissions"
        ) from error
