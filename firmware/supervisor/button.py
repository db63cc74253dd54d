"""The button: a press, three seconds for enrollment, ten for a factory reset; decided when it is let go.

Rules of this file: the pin is sampled, never an interrupt; a contact that bounces is no press. A button that is stuck
says nothing: after STUCK_MS it counts as let go without a meaning.
"""

DEBOUNCE_MS = 50
ENROLL_MS = 3_000
RESET_MS = 10_000
STUCK_MS = 30_000

NOTHING, PRESSED, ENROLL, FACTORY_RESET = range(4)


class Button:
    """One button; `stage` is what letting go now would mean, for the lamps."""

    def __init__(self) -> None:
        self.stage = NOTHING
        self._held_ms = 0
        self._free_ms = DEBOUNCE_MS
        self._is_stuck = False

    def tick(self, elapsed_ms: int, is_down: bool) -> int:
        """What was pressed, once, when the button is let go; else NOTHING."""
        if is_down:
            self._free_ms = 0
            if self._is_stuck:
                return NOTHING
            self._held_ms += elapsed_ms
            if self._held_ms >= STUCK_MS:
                self._is_stuck, self.stage = True, NOTHING
            elif self._held_ms >= RESET_MS:
                self.stage = FACTORY_RESET
            elif self._held_ms >= ENROLL_MS:
                self.stage = ENROLL
            elif self._held_ms >= DEBOUNCE_MS:
                self.stage = PRESSED
            return NOTHING
        self._free_ms += elapsed_ms
        if self._free_ms < DEBOUNCE_MS:
            return NOTHING
        meant, self.stage = self.stage, NOTHING
        self._held_ms, self._is_stuck = 0, False
        return meant
