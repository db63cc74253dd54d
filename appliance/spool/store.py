"""The spool: accepted events on disk until the collector has said that it stored them.

Rules of this file: an event counts as accepted when `append` returns, not before; it leaves only by `acknowledge`, or,
when the byte budget is full, oldest segment first, as a loss that is told by name. `recovery.py` states what holds
after a crash. One process (file lock), one thread that appends and one that reads and acknowledges.

Locks: `_appending` is held over a whole append, disk writes included; `_lock` only over the bookkeeping, so that the
reader never waits for the disk of the writer. `_appending` is taken first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from appliance.clock import Clock
from appliance.spool.errors import SpoolError
from appliance.spool.folder import FolderLock, prepare
from appliance.spool.losses import Loss
from appliance.spool.reader import MAX_LOSSES_PER_BATCH, Batch, Position, gather, joined
from appliance.spool.record import Found, Record, encode_record
from appliance.spool.recovery import ACCEPTED_NAME, Recovered, recover
from appliance.spool.segment import (
    MAX_GROUP_BYTES,
    MAX_SEGMENT_BYTES,
    MIN_SEGMENT_BYTES,
    PREFIX,
    Segment,
    read_records,
)
from appliance.spool.shelf import Shelf
from appliance.spool.slot import Mark, SlotFile
from appliance.spool.state import MAX_SOURCE_ID_CHARS
from appliance.spool.writer import SegmentWriter

Render = Callable[[int, int], bytes]


@dataclass(frozen=True, slots=True)
class Depth:
    """What waits: events, the bytes of their segments, and when the oldest was accepted (wall time)."""

    events: int
    bytes: int
    oldest_ts_ns: int | None


class Spool:
    """Made by `Spool.open`; close it, or use it in a `with` statement."""

    def __init__(
        self, folder: Path, lock: FolderLock, found: Recovered, *, max_bytes: int, segment_bytes: int, clock: Clock,
        fsync: bool,
    ) -> None:  # fmt: skip
        self._folder, self._folder_lock = folder, lock
        self._max_bytes, self._segment_bytes, self._clock = max_bytes, segment_bytes, clock
        self._appending, self._lock = threading.Lock(), threading.RLock()
        self._accepted = found.accepted
        self._accepted_file = SlotFile(folder / ACCEPTED_NAME, fsync=fsync)
        self._shelf = Shelf(folder, found, fsync=fsync)
        self._next_index = 1 + max((s.index for s in [*found.segments, *found.disposable]), default=0)
        self._writer = SegmentWriter(folder, fsync=fsync)
        self._position: Position | None = None
        self._closed = False
        self.notes = tuple(found.notes)

    @classmethod
    def open(
        cls, path: Path, *, max_bytes: int, segment_bytes: int, clock: Clock, random_epoch: Callable[[], int],
        fsync: bool = True,
    ) -> Spool:  # fmt: skip
        """Open or make the spool at folder `path` and recover what is in it; `notes` then tells what was damaged.

        `max_bytes` bounds all segments together; `random_epoch` gives an unsigned 63-bit number.

        Raises:
            SpoolLockedError: another process has it.
            SpoolError: the sizes make no sense, or the folder cannot be read or written.
        """
        if not MIN_SEGMENT_BYTES <= segment_bytes <= MAX_SEGMENT_BYTES - MAX_GROUP_BYTES:
            largest = MAX_SEGMENT_BYTES - MAX_GROUP_BYTES
            raise SpoolError(f"segment_bytes is {segment_bytes}, allowed are {MIN_SEGMENT_BYTES} to {largest}")
        if max_bytes < 2 * segment_bytes:
            raise SpoolError(f"max_bytes is {max_bytes}, allowed is two segments ({2 * segment_bytes}) or more")
        prepare(path)
        lock = FolderLock(path)
        try:
            found = recover(path, random_epoch)
            spool = cls(
                path, lock, found, max_bytes=max_bytes, segment_bytes=segment_bytes, clock=clock, fsync=fsync
            )  # fmt: skip
            spool._settle(found)
        except BaseException:
            lock.release()
            raise
        return spool

    def _settle(self, found: Recovered) -> None:
        """Write down what recovery decided, and find where to go on."""
        if self._accepted_file.load() != self._accepted:
            self._accepted_file.store(self._accepted)
        self._shelf.settle(found)
        last = self._shelf.segments[-1] if self._shelf.segments else None
        if (
            last is not None
            and not last.damages
            and (last.epoch, last.last_seq) == (self._accepted.epoch, self._accepted.seq)
        ):
            self._writer.reopen(last)

    @property
    def folder(self) -> Path:
        """Where it is kept."""
        return self._folder

    @property
    def epoch(self) -> int:
        """The epoch that new events get."""
        return self._accepted.epoch

    @property
    def next_seq(self) -> int:
        """The number that the next event gets."""
        return self._accepted.seq + 1

    @property
    def cursor(self) -> int:
        """Up to which number the epoch that is being sent is stored; pass it to `read`."""
        return self._shelf.cursor.seq

    @property
    def read_epoch(self) -> int:
        """The epoch that is being sent: an older one than `epoch` until all of its events are stored."""
        return self._shelf.cursor.epoch

    @property
    def accepted(self) -> int:
        """How many events were ever accepted, over all epochs."""
        return self._accepted.ordinal

    @property
    def losses(self) -> list[Loss]:
        """Losses of the epoch that is being sent which the collector has not answered for."""
        with self._lock:
            return self._shelf.losses()

    @property
    def lost_events(self) -> int:
        """How many accepted events were ever lost, to want of room or to damage."""
        return self._shelf.lost_events

    @property
    def broken(self) -> str:
        """Why nothing is accepted any more until the spool is opened anew; empty while that is not so."""
        return self._writer.broken

    def append(self, events: Sequence[tuple[int, Render]]) -> list[int]:
        """Accept events, each a priority (0-255) and a function from (epoch, seq) to its fragment; all or none.

        Returns their sequence numbers once all of them are durable. What a render function raises passes through, with
        nothing accepted.

        Raises:
            SpoolFullError: the disk has no room.
            SpoolError: a fragment or the group is too long, the disk failed, or the spool is closed.
        """
        if not events:
            return []
        with self._appending:
            self._refuse_if_closed()
            before, now_ns = self._accepted, self._clock.wall_ns()
            encoded: list[tuple[Record, bytes]] = []
            for place, (priority, render) in enumerate(events, 1):
                seq = before.seq + place
                record = Record(before.epoch, seq, before.ordinal + place, priority, now_ns, render(before.epoch, seq))
                try:
                    encoded.append((record, encode_record(record)))
                except ValueError as exc:
                    raise SpoolError(f"event {seq} cannot be spooled: {exc}") from exc
            group = b"".join(data for _, data in encoded)
            most = min(MAX_GROUP_BYTES, self._max_bytes // 2)
            if len(group) > most:
                raise SpoolError(f"{len(group)} bytes in one append, allowed are {most}")
            segment = self._room_for(len(group))
            self._writer.write(group)
            after = Mark(before.epoch, before.seq + len(events), before.ordinal + len(events))
            try:
                self._accepted_file.store(after)
            except SpoolError:
                self._writer.undo()
                raise
            with self._lock:
                for record, _ in encoded:
                    segment.note(record)
                if segment not in self._shelf.segments:
                    self._shelf.segments.append(segment)
                segment.size += len(group)
                self._accepted = after
            return list(range(before.seq + 1, after.seq + 1))

    def read(self, after_seq: int, max_events: int, max_bytes: int) -> Batch:
        """The events above `after_seq` (normally `cursor`) in order, of one epoch; at least one if there is any.

        Raises:
            SpoolError: a segment cannot be read, or the spool is closed.
        """
        while True:
            with self._lock:
                self._refuse_if_closed()
                cursor = self._shelf.cursor
                segments = self._shelf.to_read(after_seq)
                known = joined(self._shelf.losses())
            try:
                got = gather(
                    segments,
                    after_seq,
                    max_events=max_events,
                    max_bytes=max_bytes,
                    stop_seq=known[MAX_LOSSES_PER_BATCH].first_seq if len(known) > MAX_LOSSES_PER_BATCH else None,
                    position=self._position,
                )
            except SpoolError:
                with self._lock:
                    if self._shelf.has_all(segments):
                        raise
                continue  # given up for room while it was being read
            with self._lock:
                if self._shelf.cursor is not cursor:
                    continue  # so were all segments of this epoch
                for first, last in got.holes:
                    self._shelf.note_damage(first, last)
                self._position = got.position
                losses = self._shelf.losses()
            if got.fragments:
                losses = [loss for loss in losses if loss.last_seq < got.last_seq]
            if len(losses) > MAX_LOSSES_PER_BATCH:
                losses = joined(losses)[:MAX_LOSSES_PER_BATCH]
            return Batch(cursor.epoch, got.first_seq, got.last_seq, got.fragments, losses)

    def acknowledge(self, epoch: int, stored_to: int) -> None:
        """The collector has stored everything of `epoch` up to `stored_to`: durable, forward only.

        Raises:
            SpoolError: `stored_to` lies beyond what was ever accepted, the disk failed, or the spool is closed.
        """
        with self._lock:
            self._refuse_if_closed()
            shelf = self._shelf
            if epoch != shelf.cursor.epoch or stored_to <= shelf.cursor.seq:
                return
            highest = self._accepted.seq if epoch == self._accepted.epoch else shelf.highest(epoch)
            if stored_to > highest:
                raise SpoolError(f"stored_to is {stored_to} of epoch {epoch}, only {highest} were accepted")
            shelf.acknowledge(stored_to, busy=self._writer.segment)
            shelf.enter_next_epoch(self._accepted.epoch)

    def depth(self) -> Depth:
        """What waits for the collector.

        Raises:
            SpoolError: a segment cannot be read.
        """
        with self._lock:
            waiting = self._shelf.waiting()
        if not waiting:
            return Depth(0, 0, None)
        records = read_records(waiting[0][0], after_seq=waiting[0][1])
        oldest = next((item.record.accepted_ns for item in records if isinstance(item, Found)), None)
        return Depth(sum(s.count_after(after) for s, after in waiting), sum(s.size for s, _ in waiting), oldest)

    def source_mark(self, source_id: str) -> int:
        """How many events were accepted since `source_id` was first named here; 0 for a new one.

        For input that gives the same events in the same order each time: it skips that many and goes on behind them.
        The caller sees to it that nothing else appends meanwhile.

        Raises:
            SpoolError: the name is too long, or the disk failed.
        """
        if len(source_id) > MAX_SOURCE_ID_CHARS:
            raise SpoolError(f"source id of {len(source_id)} characters, at most {MAX_SOURCE_ID_CHARS} are kept")
        with self._appending, self._lock:
            self._refuse_if_closed()
            return self._accepted.ordinal - self._shelf.mark_source(source_id, self._accepted.ordinal)

    def close(self) -> None:
        """Let go of the folder; a second call does nothing."""
        with self._appending, self._lock:
            if not self._closed:
                self._closed = True
                self._writer.seal()
                self._accepted_file.close()
                self._shelf.close()
                self._folder_lock.release()

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise SpoolError(f"{self._folder}: the spool is closed")

    def _room_for(self, need: int) -> Segment:
        """The segment to write to, after the oldest ones have gone if the budget asks for it."""
        with self._lock:
            # With the prefix that a new segment would begin with.
            while self._shelf.segments and self._shelf.bytes + need + len(PREFIX) > self._max_bytes:
                if self._shelf.segments[0] is self._writer.segment:
                    self._writer.seal()
                self._shelf.give_up_oldest()
                self._shelf.enter_next_epoch(self._accepted.epoch)
            current = self._writer.segment
            if current is not None and current.size + need <= self._segment_bytes:
                return current
            self._writer.seal()
            if current is not None and current not in self._shelf.segments:
                self._shelf.remove(current)  # begun, and nothing could be written to it
            segment = self._writer.begin(self._next_index)
            self._next_index += 1
            return segment
