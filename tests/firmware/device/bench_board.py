"""A supervisor on a board without hardware, and a host at the other end of its port.

Rules of this file: runs on CPython and MicroPython; nothing here sleeps.
"""

from bare_board import FEATURES, Board, MemoryFolder

from appliance.wire import mcu_link, mcu_words
from loader.records import Record
from loader.trial import Trial
from supervisor.loop import Supervisor

__all__ = ["Bench", "Board", "MemoryFolder"]


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
