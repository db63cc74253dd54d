"""What the two lamps show: the policy's state, the host's own pattern, or how long the button is held.

Rules of this file: patterns are a table; the button's feedback goes before the host's pattern, the host's before the
state. A lamp never decides anything.
"""

# (green on, green off, red on, red off) in milliseconds; on and 0 is steady, 0 and 0 is dark.
DARK = (0, 0, 0, 0)
STATE_PATTERNS = (
    (0, 0, 1, 0),  # OFF: red
    (500, 500, 0, 0),  # BOOT: green blinks slowly
    (1, 0, 0, 0),  # UP: green
    (0, 0, 250, 250),  # WARN: red blinks
    (1000, 200, 0, 0),  # HOLD: green, with short gaps
    (100, 900, 0, 0),  # DRAIN: green flashes
    (0, 0, 100, 100),  # CYCLE: red blinks fast
    (0, 0, 1000, 200),  # LOCKOUT: red, with short gaps
)
UNPAIRED_PATTERN = (100, 1900, 100, 1900)
# Of the words' PATTERNS; the first gives the lamps back.
HOST_PATTERNS = (
    DARK,
    (100, 100, 100, 100),  # locate: both, fast
    (200, 200, 0, 0),  # enrolling
    (50, 950, 0, 0),  # enrolled
    (0, 0, 500, 500),  # fault
)
# Of the button's stages: not held, held, long enough to enroll, long enough for a factory reset.
BUTTON_PATTERNS = (DARK, (0, 0, 0, 0), (100, 100, 0, 0), (0, 0, 50, 50))


class Leds:
    """Both lamps behind `set_lamps(green, red)`."""

    def __init__(self, set_lamps) -> None:  # type: ignore[no-untyped-def]
        self._set_lamps = set_lamps
        self._now_ms = 0
        self._host_pattern = 0
        self._host_ms = 0

    def show(self, pattern: int, seconds: int) -> None:
        """The host's pattern for a time."""
        self._host_pattern = pattern
        self._host_ms = seconds * 1000 if pattern else 0

    def tick(self, elapsed_ms: int, state: int, is_paired: bool, button_stage: int) -> None:
        """Light what is to be lit now."""
        self._now_ms = (self._now_ms + elapsed_ms) % 3_600_000
        if self._host_ms > 0:
            self._host_ms -= elapsed_ms
        if button_stage:
            pattern = BUTTON_PATTERNS[button_stage]
        elif self._host_ms > 0:
            pattern = HOST_PATTERNS[self._host_pattern]
        elif not is_paired:
            pattern = UNPAIRED_PATTERN
        else:
            pattern = STATE_PATTERNS[state]
        self._set_lamps(is_lit(self._now_ms, pattern[0], pattern[1]), is_lit(self._now_ms, pattern[2], pattern[3]))


def is_lit(now_ms: int, on_ms: int, off_ms: int) -> bool:
    """Whether a lamp of that rhythm is on now."""
    return on_ms > 0 and now_ms % (on_ms + off_ms) < on_ms
