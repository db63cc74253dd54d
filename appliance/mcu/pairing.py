"""A board without a key is given this box's by the box itself, where the box's maker wants that.

Rules of this file: no I/O; time is an argument. Only a board that says in a session of its own that it has no key is
given one, and a board that has another box's key is left alone: it must be made to forget it by a hand at its button.
"""

from __future__ import annotations

from appliance.mcu.link import Link, State
from appliance.mcu.order import Order
from appliance.wire import mcu_words as words
from appliance.wire.mcu_link import fingerprint

WITHIN_S = 10.0
AGAIN_S = 60.0
"""A board that refuses its key is broken, and is not stormed."""


class Pairing:
    """Looked at in each turn of the loop; whatever comes of it, the link is greeted anew with the key."""

    def __init__(self) -> None:
        self._order: Order | None = None
        self._again_s = float("-inf")

    def step(self, link: Link, now_s: float) -> str:
        """Give the key, or say what came of it; empty when there is nothing to say."""
        order, key = self._order, link.key
        if order is None:
            if link.state is State.UNPAIRED and key is not None and now_s >= self._again_s:
                self._order = Order(words.PAIR, words.pack(words.PAIR, key), now_s + WITHIN_S)
                link.submit(self._order)
            return ""
        if order.failure is None and order.outcome is None:
            return ""
        self._order, self._again_s = None, now_s + AGAIN_S
        link.greet(now_s)
        if order.failure is not None:
            # Its answer may have been lost; then the greeting shows it.
            return f"not paired: {order.failure}"
        if key is None or order.outcome.fingerprint != fingerprint(key):
            return "not paired: it kept another key than it was given"
        return f"paired with this box by itself, key {fingerprint(key).hex()}"
