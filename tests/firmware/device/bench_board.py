"""A board without hardware: time is told, pins are fields, flash is a folder in memory or on disk.

Rules of this file: it has what `board/rp2350/board.py` has, and runs on CPython and MicroPython. Nothing here sleeps.
"""

from appliance.wire import mcu_link, mcu_words
from loader.records import Record
from loader.trial import Trial
from supervisor.loop import Supervisor

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
        import io

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
        self.number = mcu_words.BOARDS.index("simulated")
        self.mpy = 6
        self.features = FEATURES if bus is not None else FEATURES & ~mcu_words.HAS_SECURE
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
        return mcu_link.hmac_sha256(b"bench", bytes((self._nonces,)))[:count]

    def free_bytes(self) -> int:
        return 100_000

    def feed(self) -> None:
        self.fed += 1

    def restart(self) -> None:
        self.restarts += 1


class Bench:
    """A supervisor on a board, and a host at the other end of its port."""

    def __init__(self, board=None, key=bytes(range(32)), is_paired=True) -> None:  # type: ignore[no-untyped-def]
        self.board = board or Board()
        self.key = key
        if is_paired:
            record = Record(self.board.folder, "pairing")
            if record.load() is None:
                record.save(key)
        self.start()
        self.session = None
        self.welcome = None
        self.reader = mcu_link.Reader()
        self.events = []  # type: list[mcu_words.Event]
        self.hellos = 0

    def start(self) -> None:
        """The supervisor from its beginning: by the mains or by a reset, as the board says."""
        folder = self.board.folder
        self.trial = Trial(Record(folder, "trial"))
        self.slot = self.trial.choose()
        self.supervisor = Supervisor(self.board, lambda name: Record(folder, name), self.trial, (0, 1, 0))

    def reset(self, was_watchdog=True) -> None:  # type: ignore[no-untyped-def]
        """The supervisor's own reset; the mains stay."""
        self.board.was_cold, self.board.was_watchdog = False, was_watchdog
        self.start()

    def turn(self, ms: int = 10) -> None:
        """Time, and one turn."""
        self.board.now_ms += ms
        self.supervisor.turn()

    def pass_time(self, ms: int, step_ms: int = 500) -> None:
        """Many turns."""
        for _ in range(ms // step_ms):
            self.turn(step_ms)

    def answers(self) -> "list[tuple[int, object]]":
        """What the supervisor has said in this session; events are kept apart."""
        data = bytes(self.board.outbox)
        self.board.outbox = bytearray()
        out = []
        for frame in self.reader.feed(data):
            kind, body = self.session.open(frame)
            word = mcu_words.unpack(kind, body)
            if kind == mcu_words.EVENT:
                self.events.append(word)
            else:
                out.append((kind, word))
        return out

    def hello(self, key=None, oldest=1, newest=1, features=FEATURES):  # type: ignore[no-untyped-def]
        """A new session; None when there is no WELCOME."""
        key = self.key if key is None else key
        self.hellos += 1
        nonce = mcu_link.hmac_sha256(b"host", bytes((self.hellos,)))[:16]
        self.board.outbox = bytearray()
        body = mcu_words.pack(mcu_words.HELLO, nonce, oldest, newest, features)
        self.board.inbox.extend(mcu_link.seal(key, mcu_words.HELLO, 0, body))
        self.turn()
        for frame in self.reader.feed(bytes(self.board.outbox)):
            try:
                kind, _, body = mcu_link.unseal(key, frame, nonce)
            except mcu_link.LinkError:
                continue
            if kind == mcu_words.WELCOME:
                self.welcome = mcu_words.unpack(kind, body)
                self.session = mcu_link.Session(key, nonce, self.welcome.nonce, True)
        self.board.outbox = bytearray()
        return self.welcome

    def say(self, kind: int, *values) -> "list[tuple[int, object]]":  # type: ignore[no-untyped-def]
        """One word, a turn, and the answers."""
        self.board.inbox.extend(self.session.seal(kind, mcu_words.pack(kind, *values)))
        self.turn()
        return self.answers()

    def beat(self, phase=mcu_words.RUNNING, health=mcu_words.ALL_ALIVE, generation=1):  # type: ignore[no-untyped-def]
        """A beat; the STATUS that answers it."""
        for kind, word in self.say(mcu_words.BEAT, phase, health, generation):
            if kind == mcu_words.STATUS:
                return word
        return None

    def beat_for(self, ms: int) -> None:
        """A beat each second."""
        for _ in range(ms // 1000):
            self.pass_time(1000)
            assert self.beat() is not None

    def state(self) -> str:
        return str(mcu_words.STATES[self.supervisor.policy.state])
