"""The stages of making a stick, and what the stick is when one of them is broken off.

    erase -> write -> verify -> settings -> seal

Rules of this file: the first mebibyte, which holds the partition table, is cleared first and written last. Until then
no firmware starts the stick and no system shows a partition of it, so that half a stick looks like none. Every byte of
the image is written, zeros too: what was on the stick before must not shine through. Time is an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from image.flash.errors import ImageRefusedError, SettingsRefusedError, StickDiffersError
from image.flash.fat16 import DosTime, plan_file, read_file
from image.flash.gpt import HEAD_BYTES, Area
from image.flash.image_file import ImageFile
from image.flash.medium import Medium
from image.flash.settings import LABEL, SETUP_NAME, Settings

# So that progress is what the stick has taken, not what the kernel has promised to hand on.
SYNC_BYTES = 32 * 1024 * 1024
# The copy of another, older table would be at the end of the stick.
TAIL_BYTES = 1024 * 1024


class Stage(Enum):
    """What is being done; the text is for people."""

    READY = "ready"
    ERASE = "erase"
    WRITE = "write"
    VERIFY = "verify"
    SETTINGS = "settings"
    SEAL = "seal"
    DONE = "done"


NEXT = {
    Stage.READY: Stage.ERASE,
    Stage.ERASE: Stage.WRITE,
    Stage.WRITE: Stage.VERIFY,
    Stage.VERIFY: Stage.SETTINGS,
    Stage.SETTINGS: Stage.SEAL,
    Stage.SEAL: Stage.DONE,
}

_NO_STICK = "the stick has no partition table and starts nothing; what was on it is lost: write it again"
LEFT = {
    Stage.READY: "nothing was written",
    Stage.ERASE: "what was on the stick may be lost: write it again",
    Stage.WRITE: _NO_STICK,
    Stage.VERIFY: _NO_STICK,
    Stage.SETTINGS: _NO_STICK,
    Stage.SEAL: "the stick may be incomplete: write it again",
    Stage.DONE: "the stick is complete",
}
"""What the stick is when a stage does not end."""

OnBytes = Callable[[Stage, int, int], None]
"""(stage, bytes more, bytes in all)."""


@dataclass(frozen=True)
class Difference:
    """The first place where stick and image differ."""

    offset_bytes: int
    where: str


class Flasher:
    """One stick and its image; `stage` says where it is."""

    def __init__(self, medium: Medium, image: ImageFile, on_bytes: OnBytes = lambda *_: None) -> None:
        self.stage = Stage.READY
        self._medium = medium
        self._image = image
        self._on_bytes = on_bytes

    def flash(self, settings: Settings | None, at: DosTime) -> None:
        """Make the stick.

        Raises:
            FlashError: by name; `LEFT[self.stage]` says what the stick is.
        """
        area = self._room(settings)
        self._enter(Stage.ERASE)
        self._erase()
        self._enter(Stage.WRITE)
        head = self._write()
        self._enter(Stage.VERIFY)
        if (difference := self._difference(HEAD_BYTES, None)) is not None:
            raise StickDiffersError(
                f"the stick gives back other bytes than were written, at byte {difference.offset_bytes}"
                f" ({difference.where})",
                advice="it is worn out, or its size is false: take another one",
            )
        self._enter(Stage.SETTINGS)
        if settings is not None and area is not None:
            self._put(settings, area, at)
        self._enter(Stage.SEAL)
        self._medium.write(0, head)
        self._medium.forget()
        if self._medium.read(0, len(head)) != head:
            raise StickDiffersError("the stick does not keep its partition table", advice="take another one")
        self._medium.announce()
        self._enter(Stage.DONE)

    def compare(self) -> Difference | None:
        """Where a stick that was made before differs, the partition for the settings left out.

        Raises:
            FlashError: one of them cannot be read.
        """
        self.stage = Stage.VERIFY
        found = self._difference(0, self._image.table.area(LABEL))
        self.stage = Stage.DONE
        return found

    def _enter(self, stage: Stage) -> None:
        assert NEXT[self.stage] is stage  # noqa: S101 - the table is the order
        self.stage = stage

    def _room(self, settings: Settings | None) -> Area | None:
        if settings is None:
            return None
        area = self._image.table.area(LABEL)
        if area is None:
            raise SettingsRefusedError(
                f"{self._image.path.name} has no partition {LABEL}",
                advice="settings go onto the stick that installs: vedette-install_VERSION.raw.zst",
            )
        return area

    def _erase(self) -> None:
        self._medium.write(0, bytes(HEAD_BYTES))
        size = self._medium.size_bytes
        start = max(self._image.size_bytes, size - TAIL_BYTES)
        if start < size:
            self._medium.write(start, bytes(size - start))
        self._medium.sync()

    def _write(self) -> bytes:
        head = b""
        unsynced = 0
        for offset, chunk in self._chunks():
            body = chunk
            if offset == 0:
                head, body = chunk[:HEAD_BYTES], chunk[HEAD_BYTES:]
            self._medium.write(offset + len(chunk) - len(body), body)
            unsynced += len(body)
            if unsynced >= SYNC_BYTES:
                self._medium.sync()
                unsynced = 0
            self._on_bytes(self.stage, len(chunk), self._image.size_bytes)
        self._medium.forget()
        if len(head) < HEAD_BYTES:
            raise ImageRefusedError(f"{self._image.path.name}: smaller than {HEAD_BYTES} bytes")
        return head

    def _difference(self, start: int, left_out: Area | None) -> Difference | None:
        self._medium.forget()
        for offset, chunk in self._chunks():
            for begin, end in _spans(offset, offset + len(chunk), start, left_out):
                wanted = chunk[begin - offset : end - offset]
                found = self._medium.read(begin, end - begin)
                if found != wanted:
                    at = begin + next(n for n, (one, two) in enumerate(zip(found, wanted)) if one != two)
                    return Difference(at, self._image.table.at(at))
            self._on_bytes(self.stage, len(chunk), self._image.size_bytes)
        return None

    def _put(self, settings: Settings, area: Area, at: DosTime) -> None:
        def read(offset: int, size: int) -> bytes:
            return self._medium.read(area.offset_bytes + offset, size)

        for offset, data in plan_file(read, area.size_bytes, SETUP_NAME, settings.data, at):
            self._medium.write(area.offset_bytes + offset, data)
        self._medium.forget()
        if read_file(read, area.size_bytes, SETUP_NAME) != settings.data:
            raise StickDiffersError("the stick gives back other settings than were written", advice="take another one")

    def _chunks(self) -> Iterator[tuple[int, bytes]]:
        offset = 0
        for chunk in self._image.chunks():
            yield offset, chunk
            offset += len(chunk)


def _spans(begin: int, end: int, start: int, left_out: Area | None) -> list[tuple[int, int]]:
    """What of [begin, end) is looked at: from `start` on, without an area."""
    begin = max(begin, start)
    if left_out is None:
        parts = [(begin, end)]
    else:
        parts = [(begin, min(end, left_out.offset_bytes)), (max(begin, left_out.end_bytes), end)]
    return [(one, two) for one, two in parts if one < two]
