"""The spool: accepted events on disk until the collector has said that it stored them.

Rules of this file: an event counts as accepted when `append` returns, not before; it leaves only by `acknowledge`, or,
when the byte budget is full, oldest segment first, as a loss that is told by name. `recovery.py` states what holds
after a crash. One process (file lock), one thread that appends and one that reads and acknowledges.

Locks: `_appending` is held over a whole append, disk writes included; `_lock` only over the bookkeeping, so that the
reader never waits for the disk of the writer. `_appending` is taken first.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from appliance.clock import Clock
from appliance.spool.errors import SpoolError, SpoolFullError
from appliance.spool.folder import FolderLock, prepare
from appliance.spool.losses import SPOOL_DAMAGE, SPOOL_FULL, Loss, spans, subtract
from appliance.spool.reader import MAX_LOSSES_PER_BATCH, Batch, Position, gather, joined
from appliance.spool.record import Found, Record, encode_record
from appliance.spool.recovery import ACCEPTED_NAME, CURSOR_NAME, STATE_NAME, Recovered, recover
from appliance.spool.segment import MAX_GROUP_BYTES, MAX_SEGMENT_BYTES, MIN_SEGMENT_BYTES, Segment, read_records
from appliance.spool.slot import Mark, SlotFile
from appliance.spool.state import MAX_SOURCE_ID_CHARS, MAX_SOURCES, save_state
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
        self._max_bytes, self._segment_bytes, self._clock, self._fsync = max_bytes, segment_bytes, clock, fsync
        self._appending, self._lock = threading.Lock(), threading.RLock()
        self._accepted, self._cursor = found.accepted, found.cursor
        self._segments, self._state = found.segments, found.state
        self._next_index = 1 + max((s.index for s in [*found.segments, *found.disposable]), default=0)
        self._accepted_file = SlotFile(folder / ACCEPTED_NAME, fsync=fsync)
        self._cursor_file = SlotFile(folder / CURSOR_NAME, fsync=fsync)
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
        """Write down what recovery decided, remove what it gave up, and find where to go on."""
        if self._accepted_file.load() != self._accepted:
            self._accepted_file.store(self._accepted)
        if self._cursor_file.load() != self._cursor:
            self._cursor_file.store(self._cursor)
        for segment in found.disposable:
            segment.path.unlink(missing_ok=True)
        self._enter_next_epoch()
        if found.newly_lost:
            # A full disk may keep this from being written; then the next opening finds the same damage again.
            with contextlib.suppress(SpoolFullError):
                self._save_state()
        last = self._segments[-1] if self._segments else None
        if (
            last is not None
            and not last.damages
            and (last.epoch, last.last_seq) == (self._accepted.epoch, self._accepted.seq)
        ):
            self._writer.reopen(last)

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
        return self._cursor.seq

    @property
    def read_epoch(self) -> int:
        """The epoch that is being sent: an older one than `epoch` until all of its events are stored."""
        return self._cursor.epoch

    @property
    def accepted(self) -> int:
        """How many events were ever accepted, over all epochs."""
        return self._accepted.ordinal

    @property
    def losses(self) -> list[Loss]:
        """Losses of the epoch that is being sent which the collector has not answered for."""
        with self._lock:
            return self._state.losses.of(self._cursor.epoch)

    @property
    def lost_events(self) -> int:
        """How many accepted events were ever lost, to want of room or to damage."""
        return self._state.lost_events

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
            encoded: list[tuple[Found, bytes]] = []
            for place, (priority, render) in enumerate(events, 1):
                seq = before.seq + place
                record = Record(before.epoch, seq, before.ordinal + place, priority, now_ns, render(before.epoch, seq))
                try:
                    encoded.append((Found(0, 0, replace(record, fragment=b"")), encode_record(record)))
                except ValueError as exc:
                    raise SpoolError(f"event {seq} cannot be spooled: {exc}") from exc
            group = b"".join(data for _, data in encoded)
            if len(group) > min(MAX_GROUP_BYTES, self._max_bytes // 2):
                raise SpoolError(
                    f"{len(group)} bytes in one append, allowed are {min(MAX_GROUP_BYTES, self._max_bytes // 2)}"
                )
            segment = self._room_for(len(group))
            self._writer.write(group)
            after = Mark(before.epoch, before.seq + len(events), before.ordinal + len(events))
            try:
                self._accepted_file.store(after)
            except SpoolError:
                self._writer.undo()
                raise
            with self._lock:
                for found, _ in encoded:
                    segment.note(found)
                if segment not in self._segments:
                    self._segments.append(segment)
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
                epoch, cursor = self._cursor.epoch, self._cursor
                segments = [replace(s) for s in self._segments if s.epoch == epoch and s.last_seq > after_seq]
                known = joined(self._state.losses.of(epoch))
            stop_seq = known[MAX_LOSSES_PER_BATCH].first_seq if len(known) > MAX_LOSSES_PER_BATCH else None
            try:
                got = gather(
                    segments,
                    after_seq,
                    max_events=max_events,
                    max_bytes=max_bytes,
                    stop_seq=stop_seq,
                    position=self._position,
                )
            except SpoolError:
                with self._lock:
                    if all(any(s.index == mine.index for mine in self._segments) for s in segments):
                        raise
                continue  # given up for room while it was being read
            with self._lock:
                if self._cursor is not cursor:
                    continue  # so were all segments of this epoch
                for first, last in got.holes:
                    for lost_first, lost_last in subtract(first, last, spans(self._state.losses.of(epoch))):
                        self._state.lose(epoch, lost_first, lost_last, SPOOL_DAMAGE)
                self._position = got.position
                losses = self._state.losses.of(epoch)
            if got.fragments:
                losses = [loss for loss in losses if loss.last_seq < got.last_seq]
            if len(losses) > MAX_LOSSES_PER_BATCH:
                losses = joined(losses)[:MAX_LOSSES_PER_BATCH]
            return Batch(epoch, got.first_seq, got.last_seq, got.fragments, losses)

    def acknowledge(self, epoch: int, stored_to: int) -> None:
        """The collector has stored everything of `epoch` up to `stored_to`: durable, forward only.

        Raises:
            SpoolError: `stored_to` lies beyond what was ever accepted, the disk failed, or the spool is closed.
        """
        with self._lock:
            self._refuse_if_closed()
            if epoch != self._cursor.epoch or stored_to <= self._cursor.seq:
                return
            known = [s.last_seq for s in self._segments if s.epoch == epoch] + [x.last_seq for x in self.losses]
            highest = self._accepted.seq if epoch == self._accepted.epoch else max(known, default=self._cursor.seq)
            if stored_to > highest:
                raise SpoolError(f"stored_to is {stored_to} of epoch {epoch}, only {highest} were accepted")
            cursor = Mark(epoch, stored_to, 0)
            self._cursor_file.store(cursor)
            self._cursor = cursor
            self._state.losses.forget_to(epoch, stored_to)
            drained = [s for s in self._segments if s.epoch == epoch and s.last_seq <= stored_to]
            drained = [s for s in drained if s is not self._writer.segment]
            if drained:
                # Into the second slot as well: with only an older cursor left, their numbers would look lost.
                self._cursor_file.store(cursor)
            for segment in drained:
                self._remove(segment)
            self._enter_next_epoch()

    def depth(self) -> Depth:
        """What waits for the collector.

        Raises:
            SpoolError: a segment cannot be read.
        """
        with self._lock:
            waiting = [(s, self._cursor.seq if s.epoch == self._cursor.epoch else 0) for s in self._segments]
            waiting = [(replace(s), after) for s, after in waiting if s.count_after(after)]
        if not waiting:
            return Depth(0, 0, None)
        oldest = next(
            (
                x.record.accepted_ns
                for x in read_records(waiting[0][0], after_seq=waiting[0][1])
                if isinstance(x, Found)
            ),
            None,
        )
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
            sources = self._state.sources
            if source_id not in sources:
                while len(sources) >= MAX_SOURCES:
                    del sources[next(iter(sources))]
                sources[source_id] = self._accepted.ordinal
                try:
                    self._save_state()
                except SpoolFullError:
                    del sources[source_id]
                    raise
            return self._accepted.ordinal - sources[source_id]

    def close(self) -> None:
        """Let go of the folder; a second call does nothing."""
        with self._appending, self._lock:
            if not self._closed:
                self._closed = True
                self._writer.seal()
                self._accepted_file.close()
                self._cursor_file.close()
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
            while self._segments and sum(s.size for s in self._segments) + need > self._max_bytes:
                self._give_up(self._segments[0])
            current = self._writer.segment
            if current is not None and current.size + need <= self._segment_bytes:
                return current
            if current is not None and current not in self._segments:
                self._writer.seal()
                current.path.unlink(missing_ok=True)
            segment = self._writer.begin(self._next_index)
            self._next_index += 1
            return segment

    def _give_up(self, segment: Segment) -> None:
        """Drop a segment for room. The loss is written first: a crash in between only leaves a file to remove."""
        epoch = segment.epoch
        first = max(segment.first_seq, self._cursor.seq + 1) if epoch == self._cursor.epoch else segment.first_seq
        if segment.last_seq >= first and self._state.lose(epoch, first, segment.last_seq, SPOOL_FULL):
            try:
                self._save_state()
            except SpoolFullError:
                # Not even the account has room: the file goes first, and makes some.
                self._remove(segment)
                self._save_state()
        self._remove(segment)
        self._enter_next_epoch()

    def _remove(self, segment: Segment) -> None:
        if segment is self._writer.segment:
            self._writer.seal()
        if segment in self._segments:
            self._segments.remove(segment)
        try:
            segment.path.unlink(missing_ok=True)
        except OSError as exc:
            raise SpoolError(f"{segment.path}: cannot remove: {exc.strerror}", advice="check the disk") from exc

    def _enter_next_epoch(self) -> None:
        """When an older epoch has nothing left to send, go on to the one after it."""
        while self._cursor.epoch != self._accepted.epoch:
            mine = [s for s in self._segments if s.epoch == self._cursor.epoch]
            if any(s.count_after(self._cursor.seq) for s in mine):
                return
            behind = [s for s in self._segments if s not in mine]
            cursor = Mark(behind[0].epoch if behind else self._accepted.epoch, 0, 0)
            for _ in ("one slot", "the other"):
                self._cursor_file.store(cursor)
            # Losses travel beside events of their epoch; behind the last one they stay in `lost_events` only.
            self._state.losses.forget_epoch(self._cursor.epoch)
            self._cursor = cursor
            for segment in mine:
                self._remove(segment)

    def _save_state(self) -> None:
        save_state(self._folder / STATE_NAME, self._state, fsync=self._fsync)
