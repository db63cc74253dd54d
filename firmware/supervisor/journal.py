"""What is remembered over a reset: failures in a row, why the host was last started, the latch, the last events.

    boots, reset, flags, next number 4, then for each event: number 4, what, detail 2, heard

Rules of this file: an event is said to the host until it is heard, or until MOST newer ones have come. Flash is written
when something changed, at most once in QUIET_MS but for what must not be lost before a cut (`save`).
"""

import struct

MOST = 24
QUIET_MS = 10_000
NUMBERS = 0xFFFFFFFF
_HEAD = ">BBBI"
_HEAD_SIZE = 7
_EVENT = ">IBHB"
_EVENT_SIZE = 8
TAMPERED = 1
RESTARTING = 2


class Journal:
    """The record, and the events by their numbers: lists of number, what, detail, heard, age in milliseconds."""

    def __init__(self, record) -> None:  # type: ignore[no-untyped-def]
        self._record = record
        self._is_dirty = False
        self._quiet_ms = QUIET_MS
        self.boots = 0
        self.reset = 0
        self.is_tampered = False
        self.was_restarting = False
        """The supervisor's last reset was its own wish: the chip cannot tell that from its watchdog."""
        self.failed_writes = 0
        self.events = []  # type: list[list[int]]
        self._next = 1
        kept = record.load()
        if kept is not None:
            self._read(kept)

    def _read(self, kept: bytes) -> None:
        if len(kept) < _HEAD_SIZE or (len(kept) - _HEAD_SIZE) % _EVENT_SIZE:
            return
        self.boots, self.reset, flags, self._next = struct.unpack(_HEAD, kept[:_HEAD_SIZE])
        self.is_tampered = bool(flags & TAMPERED)
        self.was_restarting = bool(flags & RESTARTING)
        for at in range(_HEAD_SIZE, len(kept), _EVENT_SIZE):
            number, what, detail, heard = struct.unpack(_EVENT, kept[at : at + _EVENT_SIZE])
            self.events.append([number, what, detail, heard, 0])

    def note(self, what: int, detail: int = 0) -> None:
        """One more event."""
        self.events.append([self._next, what, max(min(detail, 0xFFFF), 0), 0, 0])
        self._next = self._next % NUMBERS + 1
        if len(self.events) > MOST:
            self.events.pop(0)
        self._is_dirty = True

    def heard(self, number: int) -> bool:
        """The host has heard an event; False when there is none of that number."""
        for event in self.events:
            if event[0] == number:
                if not event[3]:
                    event[3] = 1
                    self._is_dirty = True
                return True
        return False

    def unheard(self) -> "list[int] | None":
        """The oldest event that the host has not heard."""
        for event in self.events:
            if not event[3]:
                return event
        return None

    def set(self, boots: int, reset: int, is_tampered: bool) -> None:
        """What is to be remembered besides."""
        if (boots, reset, is_tampered) != (self.boots, self.reset, self.is_tampered):
            self.boots, self.reset, self.is_tampered = boots, reset, is_tampered
            self._is_dirty = True

    def save(self, is_restarting: bool = False) -> None:
        """Write it now. A file system that is full or broken is counted: the supervisor's work does not end with it."""
        flags = (TAMPERED if self.is_tampered else 0) | (RESTARTING if is_restarting else 0)
        out = struct.pack(_HEAD, self.boots, self.reset, flags, self._next)
        for event in self.events:
            out += struct.pack(_EVENT, event[0], event[1], event[2], event[3])
        try:
            self._record.save(out)
        except OSError:
            self.failed_writes += 1
        self._is_dirty, self._quiet_ms = False, 0

    def tick(self, elapsed_ms: int) -> None:
        """Events grow older; what changed is written when it has been quiet."""
        for event in self.events:
            event[4] = min(event[4] + elapsed_ms, 0x7FFFFFFF)
        self._quiet_ms = min(self._quiet_ms + elapsed_ms, QUIET_MS)
        if self._is_dirty and self._quiet_ms >= QUIET_MS:
            self.save()
