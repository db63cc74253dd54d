"""What is kept: the segments with something to send, the cursor, the account of losses, the marks of sources.

Rules of this file: bookkeeping and its files, not thread-safe; `store.py` holds the lock. Whatever takes something from
the collector's sight is written down before the bytes go.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from appliance.spool.errors import SpoolError, SpoolFullError
from appliance.spool.losses import SPOOL_DAMAGE, SPOOL_FULL, Loss, spans, subtract
from appliance.spool.recovery import CURSOR_NAME, STATE_NAME, Recovered
from appliance.spool.segment import Segment
from appliance.spool.slot import Mark, SlotFile
from appliance.spool.state import MAX_SOURCES, save_state


class Shelf:
    """Made of what recovery found."""

    def __init__(self, folder: Path, found: Recovered, *, fsync: bool) -> None:
        self._folder = folder
        self._fsync = fsync
        self._state = found.state
        self._cursor_file = SlotFile(folder / CURSOR_NAME, fsync=fsync)
        self.cursor = found.cursor
        self.segments = found.segments

    def settle(self, found: Recovered) -> None:
        """Write down what recovery decided and remove what it gave up.

        Raises:
            SpoolError: the disk refused.
        """
        if self._cursor_file.load() != self.cursor:
            self._cursor_file.store(self.cursor)
        for segment in found.disposable:
            self.remove(segment)
        self.enter_next_epoch(found.accepted.epoch)
        if found.newly_lost:
            # A full disk may keep this from being written; then the next opening finds the same damage again.
            with contextlib.suppress(SpoolFullError):
                self._save()

    @property
    def bytes(self) -> int:
        """Of all segments together."""
        return sum(segment.size for segment in self.segments)

    @property
    def lost_events(self) -> int:
        """See `State.lost_events`."""
        return self._state.lost_events

    def losses(self) -> list[Loss]:
        """Of the epoch that is being sent."""
        return self._state.losses.of(self.cursor.epoch)

    def to_read(self, after_seq: int) -> list[Segment]:
        """Copies of the segments of the epoch that is being sent which reach beyond `after_seq`."""
        epoch = self.cursor.epoch
        return [
            replace(s, missing=list(s.missing)) for s in self.segments if s.epoch == epoch and s.last_seq > after_seq
        ]

    def waiting(self) -> list[tuple[Segment, int]]:
        """Copies of the segments that hold unsent events, each with the number up to which it is sent."""
        found = [(s, self.cursor.seq if s.epoch == self.cursor.epoch else 0) for s in self.segments]
        return [(replace(s, missing=list(s.missing)), after) for s, after in found if s.count_after(after)]

    def has_all(self, segments: Sequence[Segment]) -> bool:
        """None of these was given up since it was copied."""
        here = {segment.index for segment in self.segments}
        return all(segment.index in here for segment in segments)

    def note_damage(self, first: int, last: int) -> None:
        """Numbers of the epoch that is being sent that were in a segment once and could not be read."""
        epoch = self.cursor.epoch
        for lost_first, lost_last in subtract(first, last, spans(self._state.losses.of(epoch))):
            self._state.lose(epoch, lost_first, lost_last, SPOOL_DAMAGE)
        for segment in self.segments:
            if segment.epoch == epoch:
                segment.forget(first, last)

    def highest(self, epoch: int) -> int:
        """The highest number known of an epoch that gets no new events."""
        ends = [s.last_seq for s in self.segments if s.epoch == epoch]
        ends += [loss.last_seq for loss in self._state.losses.of(epoch)]
        return max(ends, default=self.cursor.seq)

    def acknowledge(self, stored_to: int, *, busy: Segment | None) -> None:
        """Move the cursor and remove what is drained, but for the segment that is `busy` being written.

        Raises:
            SpoolError: the disk refused; the cursor is where it was, or the segment is still there.
        """
        cursor = Mark(self.cursor.epoch, stored_to, 0)
        self._cursor_file.store(cursor)
        self.cursor = cursor
        self._state.losses.forget_to(cursor.epoch, stored_to)
        drained = [s for s in self.segments if s.epoch == cursor.epoch and s.last_seq <= stored_to and s is not busy]
        if drained:
            # Into the second slot as well: with only an older cursor left, their numbers would look lost.
            self._cursor_file.store(cursor)
        for segment in drained:
            self.remove(segment)

    def give_up_oldest(self) -> None:
        """Drop a segment for room. The loss is written first: a crash in between only leaves a file to remove.

        Raises:
            SpoolError: the disk refused.
        """
        segment = self.segments[0]
        epoch = segment.epoch
        first = max(segment.first_seq, self.cursor.seq + 1) if epoch == self.cursor.epoch else segment.first_seq
        if segment.last_seq >= first and self._state.lose(epoch, first, segment.last_seq, SPOOL_FULL):
            try:
                self._save()
            except SpoolFullError:
                # Not even the account has room: the file goes first, and makes some.
                self.remove(segment)
                self._save()
        self.remove(segment)

    def enter_next_epoch(self, newest: int) -> None:
        """When an epoch older than `newest` has nothing left to send, go on to the one after it.

        Raises:
            SpoolError: the disk refused.
        """
        while self.cursor.epoch != newest:
            mine = [s for s in self.segments if s.epoch == self.cursor.epoch]
            if any(s.count_after(self.cursor.seq) for s in mine):
                return
            behind = [s for s in self.segments if s not in mine]
            cursor = Mark(behind[0].epoch if behind else newest, 0, 0)
            for _ in ("one slot", "the other"):
                self._cursor_file.store(cursor)
            # Losses travel beside events of their epoch; behind the last one they stay in `lost_events` only.
            self._state.losses.forget_epoch(self.cursor.epoch)
            self.cursor = cursor
            for segment in mine:
                self.remove(segment)

    def mark_source(self, source_id: str, accepted: int) -> int:
        """How many events had been accepted when `source_id` was first named: `accepted` if that is now.

        Raises:
            SpoolFullError: the disk has no room; the source is as new as before.
        """
        sources = self._state.sources
        if source_id not in sources:
            before = dict(sources)
            while len(sources) >= MAX_SOURCES:
                del sources[next(iter(sources))]
            sources[source_id] = accepted
            try:
                self._save()
            except SpoolFullError:
                self._state.sources = before
                raise
        return sources[source_id]

    def remove(self, segment: Segment) -> None:
        """Delete a segment's file.

        Raises:
            SpoolError: the disk refused.
        """
        if segment in self.segments:
            self.segments.remove(segment)
        try:
            segment.path.unlink(missing_ok=True)
        except OSError as exc:
            raise SpoolError(f"{segment.path}: cannot remove: {exc.strerror}", advice="check the disk") from exc

    def close(self) -> None:
        """Give the cursor's file back."""
        self._cursor_file.close()

    def _save(self) -> None:
        save_state(self._folder / STATE_NAME, self._state, fsync=self._fsync)
