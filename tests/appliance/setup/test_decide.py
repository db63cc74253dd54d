"""Which stick a box takes: the table, row by row; a sensor is never made another one's by a stick."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from appliance.errors import ApplianceError
from appliance.setup import BelongsElsewhereError, EnrolledAlreadyError, NothingToSetUpError, StickUsedError
from appliance.setup.decide import Situation, Step, decide
from appliance.wire.enrollment import EnrollmentToken
from appliance.wire.setup_file import Setup, Used

PIN, OTHER_PIN = "ab" * 32, "cd" * 32
SENSOR = "s-" + "a" * 20


def setup(letter: str = "a", pin: str = PIN) -> Setup:
    token = EnrollmentToken("t-" + letter * 12, "S" * 40)
    return Setup(("https://c.example",), pin, token.token_id, token)


def spent(letter: str = "a") -> Setup:
    return replace(setup(letter), token=None, used=Used(SENSOR, "2026-11-24T12:00:00Z"))


NO_SENSOR = [
    (None, None, NothingToSetUpError),
    (setup(), None, Step.ACCEPT),
    (spent(), None, StickUsedError),
    (None, setup(), Step.RESUME),
    (spent(), setup(), Step.RESUME),
    (setup("b"), setup(), Step.ACCEPT),
    (None, spent(), StickUsedError),
    (spent(), spent(), StickUsedError),
    (setup("b"), spent(), Step.ACCEPT),
]
A_SENSOR = [
    (None, setup(), Step.FINISH),
    (setup(), setup(), Step.FINISH),
    (setup("b"), setup(), Step.FINISH),
    (setup(), spent(), Step.FINISH),
    (setup("b"), spent(), EnrolledAlreadyError),
    (setup("b"), None, EnrolledAlreadyError),
    (None, spent(), Step.NOTHING),
    (spent(), spent(), Step.NOTHING),
    (spent("b"), spent(), Step.NOTHING),
    (None, None, Step.NOTHING),
]


@pytest.mark.parametrize(
    ("stick", "kept", "outcome", "sensor_id"),
    [(*row, "") for row in NO_SENSOR] + [(*row, SENSOR) for row in A_SENSOR],
)
def test_the_table(
    stick: Setup | None, kept: Setup | None, outcome: Step | type[ApplianceError], sensor_id: str
) -> None:
    now = Situation(stick, kept, sensor_id, bool(sensor_id), PIN)
    if isinstance(outcome, Step):
        assert decide(now) is outcome
    else:
        with pytest.raises(outcome) as refusal:
            decide(now)
        assert refusal.value.advice


@pytest.mark.parametrize(("stick", "kept"), [(None, spent()), (spent(), spent()), (None, None), (spent(), None)])
def test_a_certificate_that_ended_is_for_the_daemon_to_renew(stick: Setup | None, kept: Setup | None) -> None:
    assert decide(Situation(stick, kept, "", True, PIN)) is Step.NOTHING


@pytest.mark.parametrize("kept", [None, setup(), spent()])
@pytest.mark.parametrize("known", [PIN, ""])
def test_attack_stick_of_another_collector_in_a_box_whose_certificate_ended(kept: Setup | None, known: str) -> None:
    with pytest.raises(BelongsElsewhereError, match="another collector"):
        decide(Situation(setup("b", OTHER_PIN), kept, "", True, known))


def test_no_situation_lets_an_unused_stick_replace_a_standing_sensor() -> None:
    sticks, kepts = (setup("b"), setup("b", OTHER_PIN)), (None, setup(), spent())
    for stick, kept, pin in itertools.product(sticks, kepts, (PIN, "")):
        now = Situation(stick, kept, SENSOR, True, pin)
        try:
            step = decide(now)
        except EnrolledAlreadyError:
            continue
        assert step is Step.FINISH
