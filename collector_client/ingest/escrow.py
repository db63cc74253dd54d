"""Where the recovery keys of boxes' disks wait until the operator has seen them: a file each, below `recovery/`.

Rules of this file: a key is in one file of its own, readable by the collector's user alone, never in the database, a
log or a backup; a later key of the same sensor takes its place. The audit log says that one came and was shown.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from appliance.wire.recovery import RecoveryKey
from collector_client.store import Control, audit
from collector_client.store.clock import Clock

FOLDER_NAME = "recovery"


@dataclass(frozen=True, slots=True)
class Escrow:
    """Of one collector's folder."""

    directory: Path
    control: Control
    clock: Clock

    def keep(self, sensor_id: str, key: RecoveryKey) -> None:
        """Keep a key, durably, and say so in the audit log.

        Raises:
            OSError: the folder cannot be written.
            StoreError: the audit log cannot.
        """
        path = self._path(sensor_id)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        temporary = path.with_name(path.name + ".new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key.to_json() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync(path.parent)
        with self.control.transaction() as connection:
            audit.record(connection, self.clock.wall_ns(), "sensor", "recovery key came", sensor_id, key.volume)

    def show(self, sensor_id: str, by: str) -> RecoveryKey | None:
        """Hand a key out and forget it; None when none waits.

        It is in the audit log before it is seen.

        Raises:
            OSError: the folder cannot be read or written.
            SessionError: what waits is not a key.
            StoreError: the audit log cannot be written.
        """
        path = self._path(sensor_id)
        try:
            key = RecoveryKey.from_json(path.read_bytes())
        except FileNotFoundError:
            return None
        with self.control.transaction() as connection:
            audit.record(connection, self.clock.wall_ns(), by, "recovery key shown", sensor_id, key.volume)
        path.unlink()
        _sync(path.parent)
        return key

    def _path(self, sensor_id: str) -> Path:
        return self.directory / FOLDER_NAME / f"{sensor_id}.json"


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
