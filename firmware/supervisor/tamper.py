"""The cover's contact, latched: an opening of a moment is remembered, also over a reset, until a hand clears it.

Rules of this file: the latch is set here and cleared only by `clear`, which the factory reset at the button calls;
nothing on the link can clear it.
"""


class Tamper:
    """The latch. `has_opened` is what the journal kept."""

    def __init__(self, has_opened: bool) -> None:
        self.has_opened = has_opened
        self._was_open = False

    def tick(self, is_open: bool) -> bool:
        """Whether the cover was opened just now."""
        opened = is_open and not self._was_open
        self._was_open = is_open
        if opened:
            self.has_opened = True
        return opened

    def clear(self) -> None:
        """A hand has looked after it."""
        self.has_opened = False
