"""Where the recovery keys of boxes' disks wait until the operator has seen them: a file each, below `recovery/`.

Rules of this file: a key is in one file of its own, readable by the collector's user alone, never in the database, a
log or a backup; a later key of the same sensor takes its place. The audit log says that one came and was shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from appliance.wire.recovery import RecoveryKey
from appliance.wire.session import SessionError
from collector_client.errors import OperatorError
from collector_client.pki.files import fault, read, remove, write
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
            EnvironmentFault: the folder cannot be written.
            StoreError: the audit log cannot.
        """
        path = self._path(sensor_id)
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise fault(path.parent, error) from error
        write(path, key.to_json() + b"\n")
        with self.control.transaction() as connection:
            audit.record(connection, self.clock.wall_ns(), "sensor", "recovery key came", sensor_id, key.volume)

    def show(self, sensor_id: str, by: str, tell: Callable[[RecoveryKey], None]) -> bool:
        """Hand a key out and forget it; False when none waits.

        It is in the audit log before it is seen, and is forgotten only when `tell` has come back: no other copy may be
        left in the world.

        Raises:
            OperatorError: what waits is not a key, or others can read it.
            EnvironmentFault: the folder cannot be read or written.
            StoreError: the audit log cannot be written.
        """
        path = self._path(sensor_id)
        if not path.exists():
            return False
        try:
            key = RecoveryKey.from_json(read(path))
        except SessionError as error:
            raise OperatorError(f"{path}: no recovery key ({error})", advice="have the box made anew") from error
        with self.control.transaction() as connection:
            audit.record(connection, self.clock.wall_ns(), by, "recovery key shown", sensor_id, key.volume)
        tell(key)
        remove(path)
        return True

    def _path(self, sensor_id: str) -> Path:
        return self.directory / FOLDER_NAME / f"{sensor_id}.json"
