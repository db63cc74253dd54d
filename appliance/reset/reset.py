"""What a factory reset removes, in which order, and when it refuses.

    ordered  -> marker -> [TPM cleared] -> identity -> everything else of ours -> token -> marker gone
    power cut anywhere after the marker: the next `run`, `enroll` or `reset` goes on with it

Rules of this file: nothing is removed before the order was confirmed, the daemon is known to be at rest (its lock is
taken and held), no event waits unless its loss was ordered, and the marker is on disk. Only names of ours are removed,
because a mistyped state folder may be anybody's; a link is removed, never followed. Keys go first: whatever is left
behind by then speaks for nobody.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from appliance.config import KEPT_NAME as SETUP
from appliance.enroll.clock_floor import KEPT_NAME as CLOCK
from appliance.errors import ApplianceError, OperatorError
from appliance.files import fsync_folder
from appliance.identity import IdentityFolder, KeyFileError, KeyStore
from appliance.reset import marker
from appliance.reset.marker import Marker, Stage, fault
from appliance.spool import SpoolError, verify
from appliance.spool.folder import FolderLock, prepare

IDENTITY = "identity"
SPOOL = "spool"
OURS = (IDENTITY, SPOOL, "rules-cache", "run", SETUP, CLOCK)
"""Everything of a state folder that is ours, in the order of its removal. What else lies there is left and named."""
SUPERVISOR = "supervisor"
"""Ours, and kept: the key of box and supervisor was made by their maker, and no stick brings another."""


class NotConfirmedError(OperatorError):
    """The order does not name the sensor that this box is."""


class UndeliveredError(OperatorError):
    """Events wait that the collector has not stored."""


@dataclass(frozen=True, slots=True)
class Order:
    """What the operator wants; `confirm` is the sensor's id, or None for a yes to whatever this box is."""

    confirm: str | None
    lose_events: bool = False
    clear_tpm: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """What came of it. `left`: names in the state folder that are not ours, and a token file that could not go."""

    sensor_id: str
    events_lost: int | None
    tpm_cleared: bool
    left: tuple[str, ...]


def reset(
    state_dir: Path,
    keys: KeyStore,
    order: Order,
    *,
    token_file: Path | None = None,
    on_step: Callable[[str], None] = lambda _: None,
) -> Done:
    """Make the box what it was before its first enrollment.

    Raises:
        NotConfirmedError, UndeliveredError: nothing was removed.
        SpoolLockedError: the daemon runs; nothing was removed.
        TpmError: the TPM is not there or does not let itself be cleared; nothing was removed.
        EnvironmentFault: the disk refused half-way; the next start goes on.
    """
    begun = marker.read(state_dir)
    if begun is None:
        sensor_id = sensor_of(state_dir, keys)
        if order.confirm is not None and order.confirm != sensor_id:
            raise NotConfirmedError(
                f"{order.confirm!r} came; this box is {sensor_id or 'no sensor yet'}",
                advice="give that id, or --yes for whatever it is; nothing was removed",
            )
    with _at_rest(state_dir):
        if begun is None:
            waiting = undelivered(state_dir)
            if waiting != 0 and not order.lose_events:
                many = "an unreadable spool" if waiting is None else f"{waiting} events"
                raise UndeliveredError(
                    f"{many} came that the collector has not stored, none was allowed",
                    advice="let `vedette run` deliver them, or give them up: --lose-events; nothing was removed",
                )
            begun = Marker(Stage.TPM if order.clear_tpm else Stage.FILES, sensor_id, waiting)
            marker.write(state_dir, begun)
        return _carry_on(state_dir, keys, begun, token_file, on_step)


def finish(
    state_dir: Path, keys: KeyStore, *, token_file: Path | None = None, on_step: Callable[[str], None] = lambda _: None
) -> Done | None:
    """Carry on with a reset that lost its power; None when there is none.

    Raises:
        SpoolLockedError: another process is at it.
        EnvironmentFault: the disk refused; the next start goes on.
    """
    if marker.read(state_dir) is None:
        return None
    with _at_rest(state_dir):
        begun = marker.read(state_dir)
        return None if begun is None else _carry_on(state_dir, keys, begun, token_file, on_step)


def undelivered(state_dir: Path) -> int | None:
    """How many events wait for the collector; None when the spool cannot be read."""
    folder = state_dir / SPOOL
    if not folder.is_dir():
        return 0
    try:
        return sum(segment.waiting for segment in verify(folder).segments)
    except SpoolError:
        return None


def sensor_of(state_dir: Path, keys: KeyStore) -> str:
    """Who this box is; empty when it is nobody, or its identity cannot be read."""
    try:
        return IdentityFolder(state_dir / IDENTITY, keys).load().certificate.sensor_id
    except ApplianceError:
        return ""


def _carry_on(
    state_dir: Path, keys: KeyStore, begun: Marker, token_file: Path | None, on_step: Callable[[str], None]
) -> Done:
    if begun.stage is Stage.TPM:
        on_step("clearing the TPM")
        try:
            keys.clear_device()
        except KeyFileError:
            marker.remove(state_dir)
            raise
        begun = replace(begun, stage=Stage.FILES, tpm_cleared=True)
        marker.write(state_dir, begun)
    try:
        for name in OURS:
            on_step(f"removing {state_dir / name}")
            _remove(state_dir / name)
            # What a crash left of a file that was to take its place.
            _remove(state_dir / f"{name}.new")
        left = [] if token_file is None or _removed(token_file) else [str(token_file)]
        fsync_folder(state_dir)
        left += sorted(path.name for path in state_dir.iterdir() if path.name not in (marker.MARKER_NAME, SUPERVISOR))
    except OSError as error:
        raise fault(Path(error.filename or state_dir), error) from error
    marker.remove(state_dir)
    return Done(begun.sensor_id, begun.events_lost, begun.tpm_cleared, tuple(left))


@contextmanager
def _at_rest(state_dir: Path) -> Iterator[None]:
    """Hold the daemon's lock; the file goes with the spool, the lock stays until the end."""
    if not state_dir.is_dir():
        raise OperatorError(f"{state_dir}: no such folder", advice="set [sensor] state_dir to the box's own")
    prepare(state_dir / SPOOL)
    lock = FolderLock(state_dir / SPOOL)
    try:
        yield
    finally:
        lock.release()


def _remove(path: Path) -> None:
    """Remove a file, a link or a whole folder; what may be secret is overwritten first.

    Overwriting is a courtesy to disks that write in place; flash keeps old blocks, and there the collector's `revoke`
    is what makes a copied key worthless.
    """
    if path.is_symlink() or path.is_file():
        _blank(path)
        path.unlink()
    elif path.is_dir():
        for secret in sorted(path.rglob("*.key")) + sorted(path.rglob("*key*.pem")):
            _blank(secret)
        shutil.rmtree(path)
    elif path.exists():
        path.unlink()


def _removed(token_file: Path) -> bool:
    """Remove the token's file, which may lie anywhere: on a stick that is write-protected, or gone."""
    if token_file.is_dir():
        return False
    try:
        _remove(token_file)
    except OSError:
        return False
    return True


def _blank(path: Path) -> None:
    if path.is_symlink() or not path.is_file():
        return
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
        file.flush()
        os.fsync(file.fileno())
