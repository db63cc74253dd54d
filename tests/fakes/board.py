"""The supervisor's side of the link, in memory: what a board says, and every way in which it may misbehave.

Rules of this file: the wire's own code seals and opens; only what is said is the test's choice. It has no policy; the
closed-loop tests have the firmware's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from appliance.wire import mcu_words as words
from appliance.wire.mcu_link import UNPAIRED_KEY, LinkError, Reader, Session, fingerprint, seal, unseal

KEY = bytes(range(32))
GOOD = words.Status(words.STATES.index("UP"), 0, 2, 1, 1, 0, 0, 9_000, 60_000, 10, 12_040, 415, 100_000, 0)


@dataclass
class Board:
    """Octets in, octets out; `power()` is a power cut of the board itself."""

    key: bytes = KEY
    version: int = 1
    oldest: int = 1
    newest: int = 1
    features: int = words.HAS_UPGRADE | words.HAS_SENSORS
    reset: int = words.RESETS.index("beats-stopped")
    boots: int = 2
    beat_limit_s: int = 10
    status: Any = GOOD
    answers: dict[int, Callable[[Any], tuple[int, bytes] | None]] = field(default_factory=dict)
    """kind of an order -> its answer, or None for silence; an order that is not here is REFUSED as not known."""
    deaf: bool = False
    beats: list[Any] = field(default_factory=list)
    orders: list[Any] = field(default_factory=list)
    acked: list[int] = field(default_factory=list)
    hellos: int = 0
    refused: int = 0
    _reader: Reader = field(default_factory=Reader)
    _session: Session | None = None
    _nonces: int = 0

    def power(self) -> None:
        """Off and on: it forgets its session."""
        self._reader, self._session = Reader(), None

    def hear(self, data: bytes) -> bytes:
        """What it answers."""
        if self.deaf:
            return b""
        out = b""
        for frame in self._reader.feed(data):
            try:
                out += self._frame(frame)
            except LinkError:
                self.refused += 1
        return out

    def say(self, kind: int, *values: int | bytes) -> bytes:
        """Something unasked, in the session."""
        assert self._session is not None
        return self._session.seal(kind, words.pack(kind, *values))

    def _frame(self, frame: bytes) -> bytes:
        try:
            kind, seq, body = unseal(self.key, frame)
        except LinkError:
            assert frame
        else:
            if (kind, seq) == (words.HELLO, 0):
                return self._welcome(words.unpack(kind, body))
        if self._session is None:
            raise LinkError("no session")
        kind, body = self._session.open(frame)
        word = words.unpack(kind, body)
        if isinstance(word, words.Beat):
            self.beats.append(word)
            return self.say(words.STATUS, *self.status)
        if isinstance(word, words.Ack):
            self.acked.append(word.number)
            return b""
        self.orders.append(word)
        if kind not in self.answers:
            return self.say(words.REFUSED, kind, words.REFUSALS.index("not-known"), 0)
        answer = self.answers[kind](word)
        return b"" if answer is None else self.say(answer[0], *words.unpack(*answer))

    def _welcome(self, hello: Any) -> bytes:
        self.hellos += 1
        self._nonces += 1
        nonce = self._nonces.to_bytes(16, "big")
        self._session = Session(self.key, hello.nonce, nonce, is_host=False)
        flags = words.UNPAIRED if self.key == UNPAIRED_KEY else 0
        body = words.pack(
            words.WELCOME, nonce, self.version, self.oldest, self.newest, self.features, 0, self.reset, self.boots,
            flags, 1, 0, 0, self.beat_limit_s, 120, 3600, 128, b"board001",
        )  # fmt: skip
        return seal(self.key, words.WELCOME, 0, body, hello.nonce)


def granted(kind: int, value: int = 0) -> tuple[int, bytes]:
    """DONE."""
    return words.DONE, words.pack(words.DONE, kind, value)


def paired(board: Board) -> Callable[[Any], tuple[int, bytes]]:
    """Takes a key as a new board does: the answer is still in the old session."""

    def take(word: Any) -> tuple[int, bytes]:
        board.key = word.key
        return words.PAIRED, fingerprint(word.key)

    return take
