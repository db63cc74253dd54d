"""Differences are told by what is missing, what is extra, and what only goes the other way."""

from __future__ import annotations

import pytest

pytest.importorskip("vedette_engine", reason="the native engine is not built: make setup")

from tests.conformance import run

HERE, THERE = ("192.0.2.1", 1), ("198.51.100.1", 2)


def test_alert_in_the_other_direction_is_reversed_not_missing_and_extra() -> None:
    outcome = run.Outcome(
        "cases", "x", "differs", missing=[(1, 7, "TCP", *HERE, *THERE)], extra=[(1, 7, "TCP", *THERE, *HERE)]
    )
    assert outcome.differences() == {("cases", "x", "reversed", 7)}


def test_missing_and_extra_of_different_rules_are_told_apart() -> None:
    outcome = run.Outcome(
        "et", "x", "differs", missing=[(1, 7, "TCP", *HERE, *THERE)], extra=[(1, 8, "TCP", *THERE, *HERE)]
    )
    assert outcome.differences() == {("et", "x", "missing", 7), ("et", "x", "extra", 8)}


def test_addresses_are_compared_by_value() -> None:
    row = [1, 7, "TCP", "2001:0db8:0000::0001", 1, "192.0.2.1", 2, 9]
    assert run.expected_alerts([row]) == {(1, 7, "TCP", "2001:db8::1", 1, "192.0.2.1", 2)}


def test_every_known_difference_has_a_reason() -> None:
    assert all(len(why) > 20 for why in run.known_differences().values())


@pytest.mark.data
@pytest.mark.timeout(600)
def test_no_capture_of_the_data_folder_stops_the_engine() -> None:
    outcomes = [*run.run_cases(None), *run.run_et(None)]
    assert len(outcomes) > 1900
    assert [(outcome.name, outcome.note) for outcome in outcomes if outcome.state == "broken"] == []
