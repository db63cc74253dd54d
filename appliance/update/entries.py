"""Kernel files on the ESP and the tries in their names, as the boot loader counts them (UAPI.1, boot counting).

    vedette_0.1.0.efi        not counted: the first start of an installed box
    vedette_0.1.0+3-0.efi    three tries left, none done
    vedette_0.1.0+0-900.efi  none left; the recovery system has had it started again and again, and each is counted

Rules of this file: pure. The boot loader takes one off before each start of the newest entry that has some left; when
none has, it starts the recovery system. A good boot puts the number back and keeps it counted: the count outlives the
blessing, so that a system that breaks later falls back too. Innocent ends of a boot (an orderly restart, a power cut)
give their try back, but only so often in a row: a hang looks like a power cut.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from appliance.wire.bundle import is_version

TRIES = 3
MAX_EXCUSED = 3

_NAME = re.compile(r"vedette_(?P<version>[0-9][0-9.\-]*)(?:\+(?P<left>[0-9]{1,9})(?:-(?P<done>[0-9]{1,9}))?)?\.efi")


@dataclass(frozen=True, slots=True)
class Entry:
    """A kernel file; `left` is None when it is not counted."""

    version: str
    left: int | None = None
    done: int = 0

    @property
    def name(self) -> str:
        """Its file name."""
        counter = "" if self.left is None else f"+{self.left}-{self.done}"
        return f"vedette_{self.version}{counter}.efi"

    @property
    def exhausted(self) -> bool:
        """The boot loader prefers even the recovery system."""
        return self.left == 0

    def armed(self) -> Entry:
        """With all tries, none done."""
        return replace(self, left=TRIES, done=0)

    def given_back(self) -> Entry:
        """With the last try given back."""
        if self.left is None or self.left >= TRIES:
            return self
        return replace(self, left=self.left + 1, done=max(0, self.done - 1))

    def spent(self) -> Entry:
        """Without any try."""
        return replace(self, left=0)


def parse_entry(name: str) -> Entry | None:
    """The entry of a file name; None when it is none of ours."""
    match = _NAME.fullmatch(name)
    if match is None or not is_version(match["version"]):
        return None
    left = None if match["left"] is None else int(match["left"])
    return Entry(match["version"], left, int(match["done"] or 0))
