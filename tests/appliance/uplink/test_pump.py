"""The pump's decisions, without a network: what is sent when, and what each answer leads to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.uplink.backoff import Backoff
from appliance.uplink.pump import HOLD_S, OUTCOMES, Action, Outcome, Pump, State
from appliance.wire.codes import SessionCode
from appliance.wire.session import Refusal
from tests.fakes.collector import refusal


def made(**settings: int) -> Pump:
    """A pump whose first heartbeat is behind it."""
    pump = Pump(now_s=0, backoff=Backoff(1, 60), **settings)
    pump.heartbeat_taken(0, slow_down_ms=0)
    return pump


def test_the_first_word_is_a_heartbeat() -> None:
    assert Pump(now_s=5).next(5, waiting=True).action is Action.SEND_HEARTBEAT


def test_events_go_at_once_and_nothing_waits_until_the_next_flush() -> None:
    pump = made()
    assert pump.next(1, waiting=True).action is Action.SEND_BATCH
    idle = pump.next(1, waiting=False)
    assert (idle.action, idle.wait_s) == (Action.WAIT, 0.5)


def test_heartbeats_come_at_their_interval_even_among_events() -> None:
    pump = made()
    assert pump.next(59, waiting=True).action is Action.SEND_BATCH
    assert pump.next(60, waiting=True).action is Action.SEND_HEARTBEAT


def test_every_outcome_leads_to_a_state_and_every_state_but_the_first_is_reached() -> None:
    assert set(OUTCOMES) == set(Outcome)
    assert set(OUTCOMES.values()) == set(State) - {State.STARTING}


def test_failures_wait_longer_each_time_and_a_success_ends_that() -> None:
    pump, now = made(), 1.0
    waits = []
    for _ in range(4):
        pump.failed(now, "cut", "", chance=0.5)
        waits.append(pump.next(now, waiting=True).wait_s)
        now += waits[-1]
    assert waits == [0.5, 1, 2, 4]
    pump.batch_stored(now, slow_down_ms=0)
    assert (pump.status.state, pump.status.failures) == (State.UP, 0)


def test_every_address_is_tried_once_before_there_is_any_waiting() -> None:
    pump = made(addresses=3)
    waits = []
    for _ in range(6):
        pump.failed(1, "cut", "", chance=0.5)
        waits.append(pump.next(1, waiting=True).wait_s)
    assert waits == [0, 0, 0.5, 0, 0, 1]


@pytest.mark.parametrize("code", [SessionCode.SENSOR_QUOTA, SessionCode.BUSY, SessionCode.STORE_FAILED])
def test_retry_after_is_kept_to_the_second(code: SessionCode) -> None:
    pump = made()
    pump.batch_refused(1, refusal(code, 30), events=5, chance=0.0)
    assert pump.status.state is State.SLOWED
    assert pump.next(1, waiting=True) == pump.next(1, waiting=False)
    assert pump.next(1, waiting=True).wait_s == 30
    assert pump.next(31, waiting=True).action is Action.SEND_BATCH


def test_slow_down_is_kept_to_the_millisecond() -> None:
    pump = made()
    pump.batch_stored(1, slow_down_ms=2500)
    assert pump.status.state is State.SLOWED
    assert pump.next(1, waiting=True).wait_s == 2.5
    assert pump.next(3.5, waiting=True).action is Action.SEND_BATCH


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 411, 415])
def test_a_refusal_that_repeating_cannot_mend_is_held_not_hammered(status: int) -> None:
    pump = made()
    pump.batch_refused(1, Refusal(status, "40455 SEQUENCE_FORK", "a", "b", "find the second box"), events=5, chance=0.0)
    assert (pump.status.state, pump.status.advice) == (State.HELD, "find the second box")
    assert "two boxes share one key" in pump.status.reason
    assert pump.next(1 + HOLD_S / 2 - 0.1, waiting=True).action is not Action.SEND_BATCH
    pump.heartbeat_taken(1 + HOLD_S / 2, slow_down_ms=0)
    assert pump.next(1 + HOLD_S / 2, waiting=True).action is Action.SEND_BATCH


def test_a_held_uplink_still_sends_heartbeats_and_they_do_not_hide_why() -> None:
    pump = made()
    pump.batch_refused(1, refusal(SessionCode.SEQUENCE_FORK), events=5, chance=0.5)
    assert pump.next(61, waiting=True).action is Action.SEND_HEARTBEAT
    pump.heartbeat_taken(61, slow_down_ms=0)
    assert pump.status.state is State.HELD
    assert "SEQUENCE_FORK" in pump.status.reason


def test_an_uplink_held_for_want_of_an_identity_is_up_with_the_first_heartbeat() -> None:
    pump = made()
    pump.held(1, "not enrolled", "enroll", chance=0.5, batch=False)
    pump.heartbeat_taken(61, slow_down_ms=0)
    assert pump.status.state is State.UP
    assert pump.next(61, waiting=True).action is Action.SEND_BATCH


def test_too_much_at_once_is_halved_down_to_one_event_and_grows_again() -> None:
    pump = made()
    sizes = []
    for _ in range(9):
        sizes.append(pump.next(1, waiting=True).max_events)
        pump.batch_refused(1, refusal(SessionCode.BODY_TOO_LARGE), events=sizes[-1], chance=0.5)
    assert sizes == [500, 250, 125, 62, 31, 15, 7, 3, 1]
    assert pump.status.state is State.HELD, "one event that is still too much is not sent over and over"
    pump.batch_stored(400, slow_down_ms=0)
    assert pump.next(400, waiting=True).action is Action.SEND_HEARTBEAT
    pump.heartbeat_taken(400, slow_down_ms=0)
    assert pump.next(400, waiting=True).max_events == 2


@pytest.mark.parametrize(
    "code", [SessionCode.COMPRESSION_BROKEN, SessionCode.DIGEST_DIFFERS, SessionCode.BODY_TOO_SLOW]
)
def test_a_body_spoiled_on_the_way_is_sent_again(code: SessionCode) -> None:
    pump = made()
    pump.batch_refused(1, refusal(code), events=5, chance=0.5)
    assert pump.status.state is State.RETRYING


def test_a_refused_heartbeat_does_not_hold_batches() -> None:
    pump = made()
    pump.heartbeat_refused(60, refusal(SessionCode.HEARTBEAT_INVALID), chance=0.5)
    assert pump.next(60, waiting=True).action is Action.SEND_BATCH
    assert pump.next(60, waiting=False).action is Action.WAIT


answers = st.sampled_from(["stored", "failed", "refused", "heartbeat", "throttled", "held"])


@given(st.lists(st.tuples(answers, st.floats(0, 1, exclude_max=True), st.integers(1, 500)), max_size=60))
def test_whatever_is_answered_the_uplink_never_stops_for_good(
    script: list[tuple[str, float, int]],
) -> None:
    """In every state there is a request to come within a bounded time, and no wait is of no length."""
    pump, now = Pump(now_s=0, backoff=Backoff(1, 60)), 0.0
    for answer, chance, events in script:
        asked_at = now
        for _ in range(2000):
            todo = pump.next(now, waiting=True)
            if todo.action is not Action.WAIT:
                break
            assert todo.wait_s > 0
            now += todo.wait_s
        assert todo.action is not Action.WAIT
        assert now - asked_at <= 300
        if answer == "stored":
            pump.batch_stored(now, slow_down_ms=0)
        elif answer == "failed":
            pump.failed(now, "r", "a", chance=chance)
        elif answer == "refused":
            pump.batch_refused(now, refusal(SessionCode.BODY_TOO_LARGE), events=events, chance=chance)
        elif answer == "throttled":
            pump.batch_refused(now, refusal(SessionCode.BUSY, 5), events=events, chance=chance)
        elif answer == "held":
            pump.held(now, "r", "a", chance=chance, batch=True)
        else:
            pump.heartbeat_taken(now, slow_down_ms=0)
        assert pump.status.state is not State.STARTING or answer == "refused"
