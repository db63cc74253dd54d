"""Which firmware runs: the one that is frozen into the flash image, or one of two slots; a new one only on trial.

    frozen ── begin(a) ──> a on trial ── good() ──> a ── begin(b) ──> b on trial ...
                              │ more than TRIES starts without good()
                              └──> what ran before
    a ── CRASHES exceptions without good() between ──> frozen

Rules of this file: this code is always the frozen one, so no firmware can keep another from being chosen. A start is
counted before the new firmware gets to run, because it may never come back.
"""

SLOTS = ("frozen", "a", "b")
FROZEN, A, B = range(3)
CRASHES = 5
TRIES = 2
"""Starts that a firmware on trial may take: one may be the mains'."""


class Trial:
    """The choice, kept in a record of four octets: running, on trial, starts (without a trial:
    crashes), reverted."""

    def __init__(self, record) -> None:  # type: ignore[no-untyped-def]
        self._record = record
        kept = record.load()
        if kept is None or len(kept) != 4 or kept[0] > B or kept[1] > B:
            kept = bytes(4)
        self.running = int(kept[0])
        self.on_trial = int(kept[1])
        self.starts = int(kept[2])
        self.reverted = bool(kept[3])

    def choose(self) -> int:
        """The slot that is to run now."""
        if not self.on_trial:
            return self.running
        if self.starts >= TRIES:
            self._revert()
            return self.running
        self.starts += 1
        try:
            self._save()
        except OSError:
            # A start that cannot be counted could be tried for ever.
            self._revert()
            return self.running
        return self.on_trial

    def _revert(self) -> None:
        self.on_trial, self.starts, self.reverted = FROZEN, 0, True
        self._try_to_save()

    def spare(self) -> int:
        """The slot that a new firmware may be written to: never the one that runs or is known to be good."""
        return B if self.running == A else A

    def begin(self, slot: int) -> None:
        """From the next start on, `slot` is on trial.

        Raises:
            OSError: the file system is full or broken.
        """
        self.on_trial, self.starts, self.reverted = slot, 0, False
        self._save()

    def forget(self) -> None:
        """Nothing is on trial any more: its slot is about to be written.

        Raises:
            OSError: the file system is full or broken.
        """
        if self.on_trial:
            self.on_trial, self.starts = FROZEN, 0
            self._save()

    def good(self) -> bool:
        """The firmware on trial is good; False when there is none, it has not run yet, or flash does not take it."""
        if not self.on_trial:
            if self.starts:
                self.starts = 0
                self._try_to_save()
            return False
        if not self.starts:
            return False
        kept = self.running, self.on_trial, self.starts
        self.running, self.on_trial, self.starts = self.on_trial, FROZEN, 0
        try:
            self._save()
        except OSError:
            self.running, self.on_trial, self.starts = kept
            return False
        return True

    def crashed(self) -> None:
        """What runs has ended by an exception. A trial has counted its start; what was good once may be damaged."""
        if self.on_trial or self.running == FROZEN:
            return
        self.starts += 1
        if self.starts >= CRASHES:
            self.running, self.starts, self.reverted = FROZEN, 0, True
        self._try_to_save()

    def told(self) -> None:
        """That it was reverted has been told."""
        if self.reverted:
            self.reverted = False
            self._try_to_save()

    def _try_to_save(self) -> None:
        try:
            self._save()
        except OSError:
            return

    def _save(self) -> None:
        self._record.save(bytes((self.running, self.on_trial, self.starts, int(self.reverted))))
