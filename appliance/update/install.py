"""A bundle into the spare slot: the order of the writes is what makes a power cut harmless at every one of them.

    1  the bundle is gone through whole, and nothing is written
    2  kernel files of other versions than the running one go       nothing starts from the spare slot any more
    3  the spare partitions lose their names                        nothing finds them by a root hash
    4  hash tree and root are written
    5  the partitions get the names that the new root hash finds
    6  the kernel file is written beside its place, and renamed      from here on the new version starts
    7  if it is older: the running one's tries are taken away        only from here on, then

Rules of this file: the running slot is not in it. Until the last rename the box starts what it has started before;
from 6 on the new version is whole. Every step may be done again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

from appliance.errors import ApplianceError
from appliance.update.bundle import Bundle
from appliance.update.disk import Disk
from appliance.update.entries import Entry
from appliance.update.errors import BundleRefusedError, DiskFault, UpdateBusyError
from appliance.update.esp import Esp
from appliance.update.memory import Memory
from appliance.update.record import Record
from appliance.update.slots import Slots, emptied, filled, find_slots
from appliance.update.states import Event, State, after
from appliance.update.trust import Standing, UpdateKeys, check_fit, highest

_LOCK = ".install.lock"

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Box:
    """What an update works on. `standing.floor` is the running image's; the record may have a higher one."""

    disk: Callable[[], Disk]
    esp: Esp
    memory: Memory
    keys: UpdateKeys
    standing: Standing
    root_hash: str


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted: `older` also where a newer version runs, `again` also where the box fell back from it."""

    update_id: int = 0
    older: bool = False
    again: bool = False


def install(
    path: Path, box: Box, order: Order, *, now_ns: int, random: Callable[[int], bytes], on_progress: Progress
) -> Record:
    """Write a bundle and have it started next; returns the record, which says `staged`.

    Raises:
        BundleRefusedError: it is not installed; what runs stays what is started.
        UpdateBusyError: another one is at it, or waits for its restart.
        DiskFault, EnvironmentFault: the box cannot; what runs stays what is started.
    """
    with box.memory.alone(_LOCK, wait=False) as alone:
        if not alone:
            raise UpdateBusyError("another update is being written", advice="Wait for it: vedette update status")
        record = box.memory.read()
        if record.state in (State.STAGED, State.TRIAL) and not order.again:
            raise UpdateBusyError(
                f"version {record.version} is {record.state.value}", advice="It must end first: restart the box."
            )
        try:
            with Bundle.open(path, box.keys) as bundle:
                return _install(bundle, box, record, order, now_ns, random, on_progress)
        except ApplianceError as error:
            told = any(outcome.update_id == order.update_id for outcome in record.outcomes)
            if order.update_id and not told and box.memory.read() == record:
                # The collector's operator must hear of it, and the box must not fetch it again. Of an offer that is
                # over (its ticket outlived a power cut) there is nothing more to tell.
                reason = str(error)[:200]
                box.memory.write(record.with_outcome("refused", "", reason, now_ns, order.update_id))
            raise


def _install(
    bundle: Bundle,
    box: Box,
    record: Record,
    order: Order,
    now_ns: int,
    random: Callable[[int], bytes],
    on_progress: Progress,
) -> Record:
    manifest = bundle.manifest
    floor = highest(box.standing.floor, record.floor or box.standing.floor)
    check_fit(manifest, replace(box.standing, floor=floor), older=order.older)
    check_not_failed(record, bundle.digest, order)
    with box.disk() as disk:
        slots = find_slots(disk.table().partitions(), manifest.architecture, box.root_hash)
        _check_room(disk, slots, bundle)
        bundle.check()
        record = replace(
            record,
            state=after(record.state if record.state is not State.TRIAL else State.STAGED, Event.BEGUN),
            version=manifest.version,
            digest=bundle.digest,
            update_id=order.update_id,
            since_ns=now_ns,
            reason="",
            trials=0,
            excused=0,
        )
        box.memory.write(record)
        try:
            _write(bundle, box, disk, slots, random, on_progress)
        except ApplianceError as error:
            reason = str(error)[:200]
            failed = replace(record, state=after(record.state, Event.REFUSED), reason=reason)
            box.memory.write(failed.with_outcome("refused", manifest.version, reason, now_ns, order.update_id))
            raise
    record = replace(box.memory.read(), state=after(record.state, Event.WRITTEN))
    box.memory.write(record)
    return record


def check_not_failed(record: Record, digest: str, order: Order) -> None:
    """See that the box did not just fall back from this very bundle.

    Raises:
        BundleRefusedError: it did, and nobody says that it is to be tried again.
    """
    if record.state is not State.FELL_BACK or record.digest != digest or order.again:
        return
    if order.update_id > record.update_id:
        return
    raise BundleRefusedError(
        f"bundle: version {record.version} came, from which this box fell back ({record.reason})",
        advice="To try it again: vedette update --again, or offer it anew.",
    )


def _check_room(disk: Disk, slots: Slots, bundle: Bundle) -> None:
    sizes = {part.name: part.size_bytes for part in bundle.manifest.parts}
    for name, partition in (("root", slots.spare.root), ("verity", slots.spare.verity)):
        if sizes[name] > disk.size_bytes(partition):
            raise BundleRefusedError(
                f"bundle: {name} of {sizes[name]} bytes came, {disk.size_bytes(partition)} were allowed",
                advice="This version needs larger slots: install it from a stick.",
            )


def _write(
    bundle: Bundle, box: Box, disk: Disk, slots: Slots, random: Callable[[int], bytes], on_progress: Progress
) -> None:
    manifest = bundle.manifest
    verity, root, uki = manifest.parts
    counter = _Counter(sum(part.size_bytes for part in manifest.parts), on_progress)
    running = _make_way(box)
    names = emptied(slots, *(UUID(bytes=random(16), version=4) for _ in range(2)))
    table = disk.table().renamed(names)
    disk.write_table(table)
    disk.write(slots.spare.verity, counter.through(bundle.pieces(verity)))
    disk.write(slots.spare.root, counter.through(bundle.pieces(root)))
    disk.write_table(table.renamed(filled(slots, manifest)))
    entry = Entry(manifest.version).armed()
    box.esp.put(entry, counter.through(bundle.pieces(uki)), uki.sha256)
    box.esp.finish(entry)
    if highest(manifest.version, box.standing.version) != manifest.version:
        # The boot loader prefers the newest with tries left. `judge.bad` gives the running one's back.
        box.esp.rename(running, running.spent())


def _make_way(box: Box) -> Entry:
    """Leave the running version's kernel file alone on the ESP; returns its entry."""
    box.esp.clean()
    entries = box.esp.entries()
    running = [entry for entry in entries if entry.version == box.standing.version]
    if not running:
        raise DiskFault(f"ESP: no kernel file of the running version {box.standing.version}; nothing is written")
    for entry in entries:
        if entry.version != box.standing.version:
            box.esp.remove(entry)
    return running[0]


class _Counter:
    """Tells how far the writing is."""

    def __init__(self, total: int, on_progress: Progress) -> None:
        self._done, self._total, self._tell = 0, total, on_progress

    def through(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            yield piece
            self._done += len(piece)
            self._tell(self._done, self._total)


def forget_fetched(*paths: Path) -> None:
    """Remove what was fetched, when it was installed or refused."""
    for path in paths:
        try:
            os.unlink(path)
        except FileNotFoundError:
            continue
