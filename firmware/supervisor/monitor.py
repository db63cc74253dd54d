"""Supply and temperature: sampled each second, judged with a gap between worse and better.

Rules of this file: a sensor that is missing or fails is None and judges nothing. A judgement needs SAMPLES in a row, so
that a spike says nothing; the levels for better are apart from those for worse, so that nothing flaps.
"""

SAMPLE_MS = 1_000
SAMPLES = 3
LOW_MV = 4_600
"""5 V less 8 %: below it a host may start and fail at its first load."""
GOOD_MV = 4_750
HOT_DC = 850
COOL_DC = 750


class Level:
    """One value with a judgement: `is_bad` after SAMPLES beyond `bad`, good again after SAMPLES beyond `good`."""

    def __init__(self, bad: int, good: int) -> None:
        self.is_bad = False
        self._bad = bad
        self._good = good
        self._count = 0

    def take(self, value: "int | None") -> bool:
        """Whether it became bad just now."""
        if value is None:
            return False
        falls = self._bad < self._good
        limit = self._good if self.is_bad else self._bad
        is_beyond = value < limit if falls else value > limit
        if is_beyond == self.is_bad:
            self._count = 0
            return False
        self._count += 1
        if self._count < SAMPLES:
            return False
        self.is_bad, self._count = not self.is_bad, 0
        return self.is_bad


class Monitor:
    """Both sensors behind functions that give a number or None."""

    def __init__(self, read_supply_mv, read_temperature_dc) -> None:  # type: ignore[no-untyped-def]
        self._read_supply_mv = read_supply_mv
        self._read_temperature_dc = read_temperature_dc
        self._left_ms = 0
        self.supply = Level(LOW_MV, GOOD_MV)
        self.heat = Level(HOT_DC, COOL_DC)
        self.supply_mv = None  # type: int | None
        self.temperature_dc = None  # type: int | None

    def tick(self, elapsed_ms: int) -> "tuple[bool, bool]":
        """Whether just now the supply became low, and whether it became too hot."""
        self._left_ms -= elapsed_ms
        if self._left_ms > 0:
            return False, False
        self._left_ms = SAMPLE_MS
        self.supply_mv = self._read_supply_mv()
        self.temperature_dc = self._read_temperature_dc()
        return self.supply.take(self.supply_mv), self.heat.take(self.temperature_dc)
