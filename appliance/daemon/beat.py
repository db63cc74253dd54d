"""What the supervisor hears of the daemon: its phase, a bit for each part that is alive, and which run it is.

Rules of this file: only signs of life count, never findings. When a part stands still the beat says that the daemon
is about to end, because systemd ends it then and starts it anew: the supervisor gives that the time of a boot, and cuts
the power only when it did not help. So the nearer ring acts first, and no beat ever says more than is true.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from appliance.health import Part, Sign
from appliance.wire import mcu_words as words

BITS = {
    Part.CAPTURE: words.CAPTURE_ALIVE,
    Part.ENGINE: words.ENGINE_ALIVE,
    Part.SPOOL: words.SPOOL_ALIVE,
    Part.UPLINK: words.UPLINK_ALIVE,
}


class HealthBeat:
    """Called for each beat; `phase` is set by the daemon as it goes."""

    def __init__(self, signs: Callable[[], Iterable[Sign]], generation: int) -> None:
        """`generation` is another one for each run of the daemon (32 bits, by chance)."""
        self._signs = signs
        self._generation = generation
        self.phase = words.BOOTING

    def __call__(self) -> tuple[int, int, int]:
        """Phase, bits of health, generation."""
        bits = 0
        for sign in self._signs():
            if sign.alive:
                bits |= BITS[sign.part]
        stands_still = self.phase == words.RUNNING and bits != words.ALL_ALIVE
        return words.DRAINING if stands_still else self.phase, bits, self._generation
