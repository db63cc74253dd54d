"""When a certificate is renewed: every transition there is, and no other; moments spread, waits bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.enroll.schedule import (
    RETRY_LEAST_S,
    RETRY_MOST_S,
    TABLE,
    RenewalEvent,
    RenewalState,
    Schedule,
    due_at_ns,
    retry_wait_s,
)
from appliance.identity import Life

DAY_NS = 86_400 * 10**9
LIFE = Life(0, 30 * DAY_NS)


def made(chance: float = 0.0) -> Schedule:
    return Schedule(LIFE, now_s=0.0, chance=chance)


def test_a_certificate_is_good_until_two_thirds_of_its_life_and_a_little() -> None:
    schedule = made()
    assert schedule.next(19 * DAY_NS, 1.0) > 0
    assert schedule.status.state is RenewalState.GOOD
    assert schedule.next(20 * DAY_NS, 1.0) == 0
    assert schedule.status.state is RenewalState.DUE


def test_boxes_enrolled_in_one_moment_are_due_over_a_tenth_of_the_life() -> None:
    assert due_at_ns(LIFE, 0.0) == 20 * DAY_NS
    assert due_at_ns(LIFE, 0.5) == int(21.5 * DAY_NS)
    assert made(0.5).next(21 * DAY_NS, 0.0) > 0


def test_a_renewed_certificate_is_due_by_its_own_life() -> None:
    schedule = made()
    schedule.next(20 * DAY_NS, 0.0)
    schedule.begin()
    schedule.renewed(Life(20 * DAY_NS, 50 * DAY_NS), now_s=1.0, chance=0.0)
    assert (schedule.status.state, schedule.status.due_ns) == (RenewalState.GOOD, 40 * DAY_NS)
    assert schedule.next(20 * DAY_NS, 1.0) == 60.0


def test_a_failure_waits_and_says_why_and_the_next_one_waits_longer() -> None:
    schedule = made()
    schedule.next(20 * DAY_NS, 0.0)
    waits = []
    now_s = 0.0
    for _ in range(3):
        schedule.begin()
        schedule.failed("refused", "do this", now_s=now_s, chance=0.0)
        assert (schedule.status.state, schedule.status.reason) == (RenewalState.FAILED_RETRY, "refused")
        begun_s = now_s
        while (wait_s := schedule.next(20 * DAY_NS, now_s)) > 0:
            now_s += wait_s
        waits.append(now_s - begun_s)
    assert waits == [30.0, 60.0, 120.0]


def test_an_expired_certificate_is_still_tried_by_the_same_waits() -> None:
    schedule = made()
    assert schedule.next(31 * DAY_NS, 0.0) == 0
    assert schedule.status.state is RenewalState.EXPIRED
    schedule.begin()
    schedule.failed("too late", "", now_s=0.0, chance=0.0)
    assert schedule.next(31 * DAY_NS, 0.0) == 30.0
    assert schedule.status.state is RenewalState.EXPIRED
    assert schedule.next(31 * DAY_NS, 30.0) == 0


def test_a_clock_that_jumps_over_the_end_makes_it_expired_at_once() -> None:
    schedule = made()
    schedule.next(DAY_NS, 0.0)
    assert schedule.next(100 * DAY_NS, 1.0) == 0
    assert schedule.status.state is RenewalState.EXPIRED


def test_what_was_broken_off_is_gone_on_with_first() -> None:
    assert Schedule(LIFE, now_s=0.0, chance=0.0, unfinished=True).next(DAY_NS, 0.0) == 0


@pytest.mark.parametrize("state", RenewalState)
def test_every_state_is_left_by_some_event_and_renewing_only_by_an_end(state: RenewalState) -> None:
    events = {event for of, event in TABLE if of is state}
    assert events
    assert (RenewalEvent.BEGIN in events) == (
        state in (RenewalState.DUE, RenewalState.FAILED_RETRY, RenewalState.EXPIRED)
    )
    if state is RenewalState.RENEWING:
        assert events == {RenewalEvent.RENEWED, RenewalEvent.FAILED}


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_wait_is_never_short_and_never_longer_than_an_hour(failures: int, chance: float) -> None:
    assert RETRY_LEAST_S / 2 <= retry_wait_s(failures, chance) <= RETRY_MOST_S
