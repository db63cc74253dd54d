"""Each event is judged by itself, none is dropped, and every number has one event."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.wire import snml
from appliance.wire.session import BatchHeader, Loss
from appliance.wire.snml import RejectCode, SnmlError
from collector_client.validate import Window, judge
from collector_client.validate.policy import accounted
from tests.fakes.sensor import NOON_NS, event

WINDOW = Window.of(30, 60)
BROKEN = SnmlError(RejectCode.NUMBER, "99999", "0 to 65535", 0)


def header(first: int, last: int, *losses: Loss) -> BatchHeader:
    return BatchHeader(7, first, last, "0" * 64, "identity", losses)


def judged(head: BatchHeader, *items: snml.Event | SnmlError) -> tuple[list[int], list[tuple[int | None, str]]]:
    found = judge(head, items, [b"x"] * len(items), NOON_NS, WINDOW)
    assert len(found.events) + len(found.rejected) == len(items)
    return [item.seq for item in found.events], [(item.seq, item.code.split()[1]) for item in found.rejected]


def test_good_events_are_stored_under_their_own_numbers() -> None:
    assert judged(header(3, 5), event(3), event(4), event(5)) == ([3, 4, 5], [])


DAY_NS = 86_400 * 10**9
CASES = {
    "no sequence extension": (replace(event(2), extensions=()), "SEQUENCE_MISSING"),
    "another epoch": (event(2, epoch=8), "EPOCH_DIFFERS"),
    "a number above the range": (event(9), "SEQUENCE_OUTSIDE"),
    "the number of the one before": (event(1), "SEQUENCE_REPEATED"),
    "31 days old": (event(2, at_ns=NOON_NS - 31 * DAY_NS), "EVENT_TOO_OLD"),
    "from 1970": (event(2, at_ns=0), "EVENT_TOO_OLD"),
    "two hours ahead": (event(2, at_ns=NOON_NS + 7200 * 10**9), "EVENT_IN_FUTURE"),
    "refused by the decoder": (BROKEN, "NUMBER"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_bad_event_is_rejected_alone_and_takes_the_number_that_is_left_for_it(case: str) -> None:
    bad, code = CASES[case]
    assert judged(header(1, 3), event(1), bad, event(3)) == ([1, 3], [(2, code)])


def test_a_number_below_the_range_is_outside() -> None:
    assert judged(header(5, 6), event(4), event(6)) == ([6], [(5, "SEQUENCE_OUTSIDE")])


def test_a_rejected_event_passes_over_lost_numbers() -> None:
    head = header(1, 6, Loss(4, 5, "spool-full"), Loss(2, 2, "damaged"))
    assert judged(head, event(1), BROKEN, BROKEN) == ([1], [(3, "NUMBER"), (6, "NUMBER")])


def test_more_rejected_events_than_numbers_are_kept_without_one() -> None:
    assert judged(header(1, 2), BROKEN, BROKEN, BROKEN, event(2)) == (
        [2],
        [(1, "NUMBER"), (None, "NUMBER"), (None, "NUMBER")],
    )


events = st.builds(
    lambda seq, epoch: event(seq, epoch=epoch), st.integers(1, 12), st.sampled_from([7, 7, 7, 8])
) | st.just(BROKEN)


@given(st.lists(events, max_size=12), st.integers(1, 6), st.integers(0, 6))
def test_whatever_comes_no_event_is_lost_and_no_number_used_twice(
    items: list[snml.Event | SnmlError], first: int, more: int
) -> None:
    stored, rejected = judged(header(first, first + more), *items)
    numbers = stored + [seq for seq, _ in rejected if seq is not None]
    assert len(set(numbers)) == len(numbers)
    assert all(first <= seq <= first + more for seq in numbers)
    assert stored == sorted(stored)


@given(st.integers(1, 50), st.integers(0, 50), st.lists(st.tuples(st.integers(1, 110), st.integers(0, 30)), max_size=6))
def test_what_is_not_lost_is_counted_once(first: int, more: int, spans: list[tuple[int, int]]) -> None:
    losses = [Loss(low, low + length, "x") for low, length in spans]
    lost = {seq for loss in losses for seq in range(loss.first_seq, loss.last_seq + 1)}
    expected = len(set(range(first, first + more + 1)) - lost)
    assert accounted(header(first, first + more, *losses)) == expected
