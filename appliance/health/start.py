"""Why this box and this sensor were started: what the system has noted, for the heartbeat.

    /run/vedette-start/box       one line, written at each boot: what ended the boot before
    /run/vedette-sensor/ended    one line, written when the sensor ends: systemd's word for how (systemd.exec(5),
                                 SERVICE_RESULT); gone with the next boot

Each line is KIND, a blank, and words for a person. Rules of this file: what cannot be read, or is of a kind that is not
listed, is told as `unknown`; a box without these files (no image of ours) says nothing. Nothing is written here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

BOX_PATH = Path("/run/vedette-start/box")
SENSOR_PATH = Path("/run/vedette-sensor/ended")

BOX_KINDS = frozenset({"first", "planned", "update", "power", "watchdog", "panic", "fallback", "unknown"})
"""Append only: image/overlay/usr/lib/vedette/start_reason writes them."""
SENSOR_KINDS = frozenset(
    [
        "success",
        "exit-code",
        "signal",
        "core-dump",
        "watchdog",
        "timeout",
        "oom-kill",
        "resources",
        "protocol",
        "unknown",
    ]
)
AS_MEANT = frozenset({"first", "planned", "update", "success"})
"""Of these nobody need be told."""
_MOST_BYTES = 512


@dataclass(frozen=True, slots=True)
class Start:
    """One reason; `text` is printable and short."""

    kind: str
    text: str

    @property
    def as_meant(self) -> bool:
        """Whether somebody or something wanted this start."""
        return self.kind in AS_MEANT


@dataclass(frozen=True, slots=True)
class Starts:
    """Both; `sensor` is None while it has not ended since the box was started."""

    box: Start | None = None
    sensor: Start | None = None


UNTOLD = Starts()


def read_starts(box: Path = BOX_PATH, sensor: Path = SENSOR_PATH) -> Starts:
    """What is noted; never raises."""
    return Starts(_read(box, BOX_KINDS), _read(sensor, SENSOR_KINDS))


def parse_start(data: bytes, kinds: frozenset[str]) -> Start:
    """One line of at most 512 bytes; anything else is `unknown`, with what can be read of it."""
    line = data[:_MOST_BYTES].decode("utf-8", errors="replace").partition("\n")[0]
    text = "".join(letter if letter.isprintable() else "?" for letter in line)
    kind, _, words = text.partition(" ")
    return Start(kind, words.strip()) if kind in kinds else Start("unknown", text.strip())


def _read(path: Path, kinds: frozenset[str]) -> Start | None:
    try:
        with path.open("rb") as file:
            return parse_start(file.read(_MOST_BYTES), kinds)
    except FileNotFoundError:
        return None
    except OSError as error:
        return Start("unknown", f"{path}: {error.strerror or error}")
