"""The host's power: one relay, which gives power unless it is told to cut.

Rules of this file: power is given by default, so that a supervisor that resets, hangs or is taken out never drops the
host; and no cut lasts longer than MOST_CUT_MS, whatever the policy says.
"""

MOST_CUT_MS = 70_000
"""Longer than the policy's longest cut (CYCLE and OFF together)."""


class Power:
    """The relay behind `set_power(bool)`."""

    def __init__(self, set_power) -> None:  # type: ignore[no-untyped-def]
        self._set_power = set_power
        self.is_given = True
        self.cut_ms = 0
        set_power(True)

    def cut(self) -> None:
        """Take the power away."""
        self.is_given = False
        self.cut_ms = 0
        self._set_power(False)

    def give(self) -> None:
        """Give it back; nothing when it is there."""
        self.is_given = True
        self._set_power(True)

    def tick(self, elapsed_ms: int) -> None:
        """Set the relay anew, as a disturbance may have changed it, and end a cut that lasts too long."""
        if not self.is_given:
            self.cut_ms += elapsed_ms
            if self.cut_ms >= MOST_CUT_MS:
                self.is_given = True
        self._set_power(self.is_given)
