"""Something that the supervisor is asked to do, and how it ended.

Rules of this file: no I/O; time is an argument. An order is said again until it is answered or its time is over, so
every order must be harmless when it is carried out twice: the words of the link are made that way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from appliance.errors import ApplianceError
from appliance.mcu.errors import OrderRefusedError
from appliance.wire import mcu_words as words

PATIENCE_S = 1.0
"""A round trip takes some hundredths of a second; what is lost is said again after this."""

NAMES = {
    words.PAIR: "pair",
    words.POWER: "power",
    words.HOLD: "hold",
    words.LEDS: "leds",
    words.MEASURE: "measure",
    words.SECURE: "a word to the secure element",
    words.UPGRADE_BEGIN: "begin of an upgrade",
    words.UPGRADE_BLOCK: "block of an upgrade",
    words.UPGRADE_END: "end of an upgrade",
}
ANSWERS: dict[int, type] = {
    words.PAIR: words.Paired,
    words.POWER: words.Done,
    words.HOLD: words.Done,
    words.LEDS: words.Done,
    words.MEASURE: words.Measurements,
    words.SECURE: words.SecureAnswer,
    words.UPGRADE_BEGIN: words.UpgradeState,
    words.UPGRADE_BLOCK: words.UpgradeState,
    words.UPGRADE_END: words.UpgradeState,
}
ADVICE = {
    "not-now": "its state does not allow that now: vedette supervisor info",
    "not-known": "its firmware is older than this software: vedette supervisor update",
    "no-part": "this board has no such part",
    "busy": "it does something else that was asked of it; try again in a minute",
}


@dataclass(slots=True, eq=False)
class Order:
    """One order; `outcome` or `failure` is there when it is finished, and `on_done` was called."""

    kind: int
    body: bytes
    until_s: float
    patience_s: float = PATIENCE_S
    on_done: Callable[[], None] = lambda: None
    sent_s: float | None = None
    outcome: Any = None
    failure: ApplianceError | None = None

    @property
    def name(self) -> str:
        """For people."""
        return NAMES[self.kind]

    def take(self, word: Any) -> bool:
        """Whether a word of the supervisor's is the answer."""
        if isinstance(word, words.Refused) and word.kind == self.kind:
            why = words.REFUSALS[word.why]
            self.fail(
                OrderRefusedError(
                    f"supervisor: {self.name} was refused: {why}; allowed: {word.allowed}",
                    advice=ADVICE.get(why, ""),
                    why=why,
                )
            )
            return True
        if not isinstance(word, ANSWERS[self.kind]) or (isinstance(word, words.Done) and word.kind != self.kind):
            return False
        self.outcome = word
        self.on_done()
        return True

    def fail(self, failure: ApplianceError) -> None:
        """It came to nothing."""
        self.failure = failure
        self.on_done()

    def due_s(self) -> float:
        """When it is to be sent, or given up."""
        return self.until_s if self.sent_s is None else min(self.until_s, self.sent_s + self.patience_s)
