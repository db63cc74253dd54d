"""The host's side of the link: from octets and the time to octets, a state, and what the supervisor has said.

    absent ── opened ─► greeting ── welcomed ─► up ── fell silent ─► greeting        gone, from anywhere ─► absent
    greeted in vain: silent · foreign · other-version · unpaired; greeted on, so each may become another

Rules of this file: no I/O; time and randomness are arguments. Any octets change a counter or are a word of the
supervisor's, in bounded memory. An order is sent again until it is answered or its tries are used up, also into a new
session: each is harmless when it is carried out twice. The supervisor's events are told once and acknowledged always.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Any

from appliance.mcu.errors import NoAnswerError
from appliance.mcu.order import Order
from appliance.wire import mcu_words as words
from appliance.wire.mcu_link import NONCE, UNPAIRED_KEY, LinkError, Reader, Session, seal, unseal

FEATURES = words.HAS_SECURE | words.HAS_UPGRADE | words.HAS_SENSORS | words.HAS_TAMPER | words.HAS_BUTTON
"""What this side makes use of."""
GREET_S = 1.0
GREET_MOST_S = 8.0
TRIES_BEFORE_SILENT = 3
BEAT_S = 1.0
SILENCE_S = 5.0
"""Five beats without a word: the session is lost, so greet anew."""
TOLD_EVENTS = 64


class State(Enum):
    """How the link is."""

    ABSENT = "absent"
    FAULTY = "faulty"
    GREETING = "greeting"
    SILENT = "silent"
    FOREIGN = "foreign"
    OTHER_VERSION = "other-version"
    UNPAIRED = "unpaired"
    UP = "linked"


class Happening(Enum):
    """What may change it."""

    OPENED = "opened"
    GONE = "gone"
    FAULT = "fault"
    NO_ANSWER = "no answer"
    NOT_UNDERSTOOD = "not understood"
    NO_COMMON_VERSION = "no version in common"
    NO_KEY = "no key in common"
    WELCOMED = "welcomed"
    FELL_SILENT = "fell silent"


_WAITING = (State.GREETING, State.SILENT, State.FOREIGN, State.OTHER_VERSION, State.UNPAIRED)
TRANSITIONS: dict[tuple[State, Happening], State] = {
    (State.ABSENT, Happening.OPENED): State.GREETING,
    (State.FAULTY, Happening.OPENED): State.GREETING,
    **{(state, Happening.FAULT): State.FAULTY for state in State},
    **{(state, Happening.GONE): State.ABSENT for state in State},
    **{(state, Happening.NO_ANSWER): State.SILENT for state in _WAITING},
    **{(state, Happening.NOT_UNDERSTOOD): State.FOREIGN for state in _WAITING},
    **{(state, Happening.NO_COMMON_VERSION): State.OTHER_VERSION for state in _WAITING},
    **{(state, Happening.NO_KEY): State.UNPAIRED for state in _WAITING},
    **{(state, Happening.WELCOMED): State.UP for state in _WAITING},
    (State.UP, Happening.FELL_SILENT): State.GREETING,
}
"""What is not here changes nothing."""

MEANING = {
    State.ABSENT: "no supervisor board; systemd and the kernel's watchdog alone reset this box",
    State.FAULTY: "the port, or the key of the link, cannot be used",
    State.GREETING: "greeted, no answer yet",
    State.SILENT: "the port is there, nobody answers: no board, one without power, or one that has another key",
    State.FOREIGN: "something answers that is no supervisor with our key",
    State.OTHER_VERSION: "the supervisor and this software have no version of the link in common; update one of them",
    State.UNPAIRED: "the supervisor has no key and watches over nothing: vedette supervisor pair",
    State.UP: "the supervisor listens",
}


class Link:
    """One port's conversation; not thread-safe, its caller is one loop."""

    def __init__(self, key: bytes | None, random: Callable[[int], bytes], now_s: float) -> None:
        """`key` is the pairing key, None when there is none yet; `random` gives so many random octets."""
        self._key = key
        self._random = random
        self.state = State.ABSENT
        self.since_s = now_s
        self.reason = ""
        self.welcome: Any = None
        """The last `Welcome` of a supervisor that has our key, or of one that has none."""
        self.status: Any = None
        """The last `Status` of this session."""
        self.not_understood = 0
        self.sessions = 0
        self._reader = Reader()
        self._session: Session | None = None
        self._nonce = b""
        self._hello_key = UNPAIRED_KEY
        self._hellos = self._unanswered = 0
        self._foreign_before = 0
        self._at_s = self._heard_s = now_s
        self._acks: deque[int] = deque(maxlen=TOLD_EVENTS)
        self._told: deque[int] = deque(maxlen=TOLD_EVENTS)
        self._orders: deque[Order] = deque()

    @property
    def is_settled(self) -> bool:
        """Whether it is known who is there, or that nobody is who would listen."""
        if self.state is State.UP:
            return self.status is not None
        return self.state in (State.SILENT, State.FOREIGN, State.OTHER_VERSION, State.UNPAIRED) or bool(self.reason)

    def use_key(self, key: bytes | None) -> None:
        """Greet with this key from now on."""
        self._key = key

    @property
    def key(self) -> bytes | None:
        """The pairing key, if there is one."""
        return self._key

    def greet(self, now_s: float) -> None:
        """Greet anew, with the key first: the other side may have it by now."""
        self._greet_anew(now_s)

    def opened(self, now_s: float) -> None:
        """There is a port."""
        self._happens(Happening.OPENED, now_s)
        self._greet_anew(now_s)

    def gone(self, now_s: float, reason: str, *, is_fault: bool = False) -> None:
        """The port is not there, or not any more; or it is, and cannot be used."""
        self._happens(Happening.FAULT if is_fault else Happening.GONE, now_s)
        self.reason = reason
        self._session = None
        self._give_up_orders(now_s)

    def submit(self, order: Order) -> None:
        """Have an order sent; orders are carried out one after the other."""
        self._orders.append(order)

    def receive(self, data: bytes, now_s: float) -> list[Any]:
        """Take what has come; returns the `Event`s that were not told before in this session."""
        events = []
        for frame in self._reader.feed(data):
            try:
                word = self._open(frame, now_s)
            except LinkError:
                self.not_understood += 1
                continue
            if isinstance(word, words.Event):
                self._acks.append(word.number)
                if word.number not in self._told:
                    self._told.append(word.number)
                    events.append(word)
            elif isinstance(word, words.Status):
                self.status = word
            elif self._orders and self._orders[0].sent_s is not None and self._orders[0].take(word):
                self._orders.popleft()
        return events

    def send(self, now_s: float, health: Callable[[], tuple[int, int, int]] | None) -> bytes:
        """What is to be written now. `health` gives a beat's phase, bits and generation; None: nobody beats here."""
        self._give_up_orders(now_s)
        if self.state in (State.ABSENT, State.FAULTY):
            return b""
        silent_s = now_s - self._heard_s
        if self._session is not None and self.state is State.UP:
            if silent_s >= SILENCE_S and (health is not None or self._orders):
                self._happens(Happening.FELL_SILENT, now_s)
                self._greet_anew(now_s)
        elif self._session is not None and silent_s >= GREET_MOST_S:
            # Is it still there, and still without a key?
            self._greet_anew(now_s, first=3)
        if self._session is None:
            return self._greeting(now_s)
        out = b""
        while self._acks:
            out += self._session.seal(words.ACK, words.pack(words.ACK, self._acks.popleft()))
        if health is not None and now_s >= self._at_s:
            out += self.beat_now(health)
            self._at_s = now_s + self.beat_s
        if self._orders and (self._orders[0].sent_s is None or now_s >= self._orders[0].due_s()):
            self._orders[0].sent_s = now_s
            out += self._session.seal(self._orders[0].kind, self._orders[0].body)
        return out

    def beat_now(self, health: Callable[[], tuple[int, int, int]]) -> bytes:
        """A beat before its time; nothing where none would be heard."""
        if self._session is None or self.state is not State.UP:
            return b""
        return self._session.seal(words.BEAT, words.pack(words.BEAT, *health()))

    def wait_s(self, now_s: float) -> float:
        """How long there is nothing to send if nothing comes, and a second at most."""
        if self._acks:
            return 0.0
        order = self._orders[0] if self._orders else None
        if order is not None and self._session is not None and order.sent_s is None:
            return 0.0
        due_s = now_s + 1.0 if self._session is not None and self.state is not State.UP else self._at_s
        if order is not None:
            due_s = min(due_s, order.due_s())
        return min(max(due_s - now_s, 0.0), 1.0)

    @property
    def beat_s(self) -> float:
        """Between two beats: well within the supervisor's patience, whatever that is."""
        limit_s = self.welcome.beat_limit_s if self.welcome is not None else 0
        return min(BEAT_S, limit_s / 4) if limit_s else BEAT_S

    def _happens(self, happening: Happening, now_s: float) -> None:
        after = TRANSITIONS.get((self.state, happening), self.state)
        if after is not self.state:
            self.state, self.since_s, self.reason = after, now_s, ""

    def _greet_anew(self, now_s: float, first: int = 0) -> None:
        self._session = None
        self._acks.clear()
        self._reader = Reader()
        self._hellos, self._unanswered = first, 0
        self._at_s = now_s
        self._foreign_before = self.not_understood
        for order in self._orders:
            order.sent_s = None

    def _greeting(self, now_s: float) -> bytes:
        """A HELLO when one is due; a fresh nonce each time, so that no answer is ever taken for another's."""
        if now_s < self._at_s:
            return b""
        if self._unanswered >= TRIES_BEFORE_SILENT:
            spoke = self.not_understood > self._foreign_before
            self._happens(Happening.NOT_UNDERSTOOD if spoke else Happening.NO_ANSWER, now_s)
            self._foreign_before, self._unanswered = self.not_understood, 0
        self._nonce = self._random(NONCE)
        # Each fourth time as to a board without a key: one that was put in place of ours would never answer otherwise.
        self._hello_key = UNPAIRED_KEY if self._key is None or self._hellos % 4 == 3 else self._key
        self._at_s = now_s + min(GREET_MOST_S, GREET_S * 2.0 ** min(self._hellos // 4, 4))
        self._hellos += 1
        self._unanswered += 1
        body = words.pack(words.HELLO, self._nonce, words.OLDEST, words.NEWEST, FEATURES)
        return seal(self._hello_key, words.HELLO, 0, body)

    def _open(self, frame: bytes, now_s: float) -> Any:
        """The word of a frame; None when it was a welcome.

        Raises:
            LinkError: not the supervisor's, not of this session, said before, or no word.
        """
        if self._session is not None:
            kind, body = self._session.open(frame)
            self._heard_s = now_s
            return words.unpack(kind, body)
        if not self._nonce:
            raise LinkError("not greeted")
        kind, seq, body = unseal(self._hello_key, frame, self._nonce)
        if (kind, seq) != (words.WELCOME, 0):
            raise LinkError("no welcome")
        self._welcomed(words.unpack(kind, body), now_s)
        return None

    def _welcomed(self, welcome: Any, now_s: float) -> None:
        self.welcome, self.status = welcome, None
        self._unanswered = 0
        if not words.OLDEST <= welcome.version <= words.NEWEST:
            self._happens(Happening.NO_COMMON_VERSION, now_s)
        else:
            self._session = Session(self._hello_key, self._nonce, welcome.nonce, is_host=True)
            self.sessions += 1
            self._told.clear()
            self._happens(Happening.NO_KEY if self._hello_key == UNPAIRED_KEY else Happening.WELCOMED, now_s)
            self._at_s = self._heard_s = now_s
        self._nonce = b""

    def _give_up_orders(self, now_s: float) -> None:
        for order in [order for order in self._orders if now_s >= order.until_s]:
            self._orders.remove(order)
            order.fail(NoAnswerError(f"supervisor: no answer to {order.name}; {MEANING[self.state]}"))
