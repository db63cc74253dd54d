"""The schedule of retries: it grows, it is capped, it is spread out, and it never overflows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.uplink import Backoff


def test_the_bound_doubles_up_to_the_cap() -> None:
    backoff = Backoff(base_s=1, cap_s=60)
    assert [backoff.bound_s(n) for n in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]


@given(st.integers(0, 10**9), st.floats(0, 1, exclude_max=True))
def test_any_number_of_failures_waits_within_the_bound(failures: int, chance: float) -> None:
    backoff = Backoff()
    assert 0 <= backoff.wait_s(failures, chance) <= backoff.bound_s(failures) <= 300


def test_the_jitter_is_full() -> None:
    assert [Backoff().wait_s(4, chance) for chance in (0.0, 0.5, 0.75)] == [0, 4, 6]
