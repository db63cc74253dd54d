"""No beat says more than is true: one dead part, and the supervisor hears that the daemon is about to end."""

from __future__ import annotations

from itertools import combinations

import pytest

from appliance.daemon.beat import BITS, HealthBeat
from appliance.health import Part, Sign
from appliance.wire import mcu_words as words

SETS = [set(dead) for size in range(5) for dead in combinations(Part, size)]


@pytest.mark.parametrize("dead", SETS, ids=lambda dead: "+".join(sorted(part.value for part in dead)) or "none")
@pytest.mark.parametrize("phase", range(3))
def test_only_a_running_daemon_whose_parts_all_live_beats_well(dead: set[Part], phase: int) -> None:
    beat = HealthBeat(lambda: [Sign(part, part not in dead, "") for part in Part], 7)
    assert beat()[0] == words.BOOTING
    beat.phase = phase
    said, bits, generation = beat()
    assert {part for part, bit in BITS.items() if not bits & bit} == dead
    assert (said == words.RUNNING) == (phase == words.RUNNING and not dead)
    assert said == (words.DRAINING if phase == words.RUNNING and dead else phase)
    assert generation == 7


def test_every_part_has_a_bit_and_they_are_all_there_are() -> None:
    assert set(BITS) == set(Part)
    assert sum(BITS.values()) == words.ALL_ALIVE
