"""A board without hardware: time is told, pins are fields, flash is a folder in memory or on disk.

Rules of this file: it has what `board/board.py` has, and runs on CPython and MicroPython. It imports nothing of ours,
so that a firmware in a slot runs on it as it is. Nothing here sleeps.
"""

import hashlib
import io

TICKS = 1 << 30
"""MicroPython's ticks come around after 12.4 days; the bench begins shortly before."""
FEATURES = 31


class MemoryFolder:
    """Files as a dict; `room` is how many octets more it takes, None for all."""

    def __init__(self) -> None:
        self.files = {}  # type: dict[str, bytes]
        self.room = None

    def read(self, name, most):  # type: ignore[no-untyped-def]
        return self.files[name][:most] if name in self.files else None

    def write(self, name, data):  # type: ignore[no-untyped-def]
        self.files[name] = b""
        self.append(name, data)

    def append(self, name, data):  # type: ignore[no-untyped-def]
        if self.room is not None:
            fits = data[: self.room]
            self.room -= len(fits)
            self.files[name] = self.files.get(name, b"") + fits
            if len(fits) < len(data):
                raise OSError(28)
            return
        self.files[name] = self.files.get(name, b"") + data

    def open(self, name):  # type: ignore[no-untyped-def]
        if name not in self.files:
            raise OSError(2)
        return io.BytesIO(self.files[name])

    def remove(self, name):  # type: ignore[no-untyped-def]
        for one in list(self.files):
            if one == name or one.startswith(name + "/"):
                del self.files[one]


class Board:
    """All that a supervisor has to have, for a test to set and to look at."""

    def __init__(self, folder=None, bus=None, was_cold=True, was_watchdog=False) -> None:  # type: ignore[no-untyped-def]
        self.folder = MemoryFolder() if folder is None else folder
        self.bus = bus
        self.was_cold = was_cold
        self.was_watchdog = was_watchdog
        self.number = 0
        self.mpy = 6
        self.features = FEATURES if bus is not None else FEATURES & ~1
        self.serial = b"bench\0\0\1"
        self.now_ms = TICKS - 60_000
        self.has_power = None
        self.power_changes = []  # type: list[bool]
        self.lamps = (False, False)
        self.is_down = False
        self.is_open = False
        self.volts_mv = 5000
        self.heat_dc = 400
        self.fed = 0
        self.restarts = 0
        self.inbox = bytearray()
        self.outbox = bytearray()
        self._nonces = 0

    def ticks_ms(self) -> int:
        return self.now_ms % TICKS

    def ticks_diff(self, new: int, old: int) -> int:
        return ((new - old + TICKS // 2) % TICKS) - TICKS // 2

    def pause_ms(self, ms: int) -> None:
        self.now_ms += ms

    def read(self, count: int) -> "bytes | None":
        data = bytes(self.inbox[:count])
        self.inbox = self.inbox[count:]
        return data or None

    def write(self, data: bytes) -> None:
        self.outbox.extend(data)

    def set_power(self, is_given: bool) -> None:
        if is_given != self.has_power:
            self.power_changes.append(is_given)
        self.has_power = is_given

    def set_lamps(self, green: bool, red: bool) -> None:
        self.lamps = (green, red)

    def button_down(self) -> bool:
        return self.is_down

    def tamper_open(self) -> bool:
        return self.is_open

    def supply_mv(self) -> "int | None":
        return self.volts_mv

    def temperature_dc(self) -> "int | None":
        return self.heat_dc

    def random(self, count: int) -> bytes:
        self._nonces += 1
        return hashlib.sha256(b"bench" + bytes((self._nonces % 256, self._nonces // 256))).digest()[:count]

    def free_bytes(self) -> int:
        return 100_000

    def feed(self) -> None:
        self.fed += 1

    def restart(self) -> None:
        self.restarts += 1
