"""The pairing key: given once, at manufacture, and forgotten only by a hand at the button.

Rules of this file: where no whole key is kept, the supervisor is unpaired; a key is in force only when it is in flash.
"""

from appliance.wire.mcu_link import KEY, UNPAIRED_KEY


class Pairing:
    """The key in its record."""

    def __init__(self, record) -> None:  # type: ignore[no-untyped-def]
        self._record = record
        kept = record.load()
        self.key = kept if kept is not None and len(kept) == KEY else UNPAIRED_KEY

    @property
    def is_paired(self) -> bool:
        """Whether there is a host to watch over."""
        return self.key != UNPAIRED_KEY

    def pair(self, key: bytes) -> bool:
        """Keep a key; False when there is one, it is none, or flash does not take it."""
        if self.is_paired or len(key) != KEY or key == UNPAIRED_KEY:
            return False
        try:
            self._record.save(key)
        except OSError:
            return False
        self.key = key
        return True

    def forget(self) -> None:
        """No key any more."""
        self._record.remove()
        self.key = UNPAIRED_KEY
