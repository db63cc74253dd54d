"""The Linux side of the link, as far as a bench needs it: greets, opens a session, says a word and takes the answer.

Rules of this file: the wire's own code speaks; time is the emulator's. A frame that is not this session's is an error
here, as nothing else is on the line.
"""

from __future__ import annotations

from typing import Any

from appliance.wire import mcu_link, mcu_words
from tests.firmware.sim.emulator import Emulator, StuckError

AGAIN_MS = 250
NONCE = bytes(range(mcu_link.NONCE))
FEATURES = (
    mcu_words.HAS_SECURE | mcu_words.HAS_UPGRADE | mcu_words.HAS_SENSORS | mcu_words.HAS_TAMPER | mcu_words.HAS_BUTTON
)


class Host:
    """One host at the other end of UART0."""

    def __init__(self, emulator: Emulator, key: bytes) -> None:
        self.emulator = emulator
        self.key = key
        self.reader = mcu_link.Reader()
        self.frames: list[bytes] = []
        self.session: mcu_link.Session | None = None

    def heard(self) -> bytes | None:
        """The next whole frame that the chip has sent, if there is one."""
        line = self.emulator.heard
        while line and not self.frames:
            self.frames += self.reader.feed(bytes((line.popleft(),)))
        return self.frames.pop(0) if self.frames else None

    def greet(self, within_ms: float) -> Any:
        """HELLO, said again until a WELCOME answers it; opens the session. What else is on the line is left out.

        Raises:
            StuckError: no answer.
        """
        body = mcu_words.pack(mcu_words.HELLO, NONCE, mcu_words.OLDEST, mcu_words.NEWEST, FEATURES)
        end_ms = self.emulator.now_ms + within_ms
        while True:
            self.emulator.send(mcu_link.seal(self.key, mcu_words.HELLO, 0, body))
            left_ms = end_ms - self.emulator.now_ms
            try:
                welcome = self.emulator.run_until(self._welcome, min(AGAIN_MS, left_ms), "WELCOME")
            except StuckError:
                # A chip that is still starting has no UART yet, and what came is lost.
                if left_ms <= AGAIN_MS:
                    raise
            else:
                self.session = mcu_link.Session(self.key, NONCE, welcome.nonce, is_host=True)
                return welcome

    def _welcome(self) -> Any:
        frame = self.heard()
        if frame is None:
            return None
        try:
            kind, _, body = mcu_link.unseal(self.key, frame, NONCE)
        except mcu_link.LinkError:
            # Of the session before, or of another key.
            return None
        return mcu_words.unpack(kind, body)

    def ask(self, kind: int, *values: int | bytes, within_ms: float = 1000) -> tuple[int, Any]:
        """Say one word; the kind and the word of the answer. An EVENT that comes before it is left out.

        Raises:
            StuckError: no answer.
            LinkError: an answer that is not this session's.
        """
        assert self.session is not None
        self.emulator.send(self.session.seal(kind, mcu_words.pack(kind, *values)))
        while True:
            frame = self.emulator.run_until(self.heard, within_ms, f"the answer to {kind:#x}")
            answer_kind, body = self.session.open(frame)
            if answer_kind != mcu_words.EVENT:
                return answer_kind, mcu_words.unpack(answer_kind, body)
