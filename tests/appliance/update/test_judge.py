"""Starts are counted, excused and blamed as they deserve; a fall back has its reason; nothing goes round for ever."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.update import State
from appliance.update.boot import begin_boot, boot_is_bad
from appliance.update.entries import MAX_EXCUSED, TRIES, Entry, parse_entry
from appliance.update.judge import Seen
from appliance.update.record import Record, RecordError
from appliance.update.states import TRANSITIONS, Event, after
from tests.fakes.box_disk import BoxDisk
from tests.fakes.box_story import MAKER, Story


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path)


def test_a_version_that_is_never_healthy_is_left_after_three_starts_with_its_words(story: Story) -> None:
    for _ in range(TRIES):
        assert story.power_on() == "2"
        assert story.bad("the engine does not load"), "there is something left to try"
    assert story.power_on() == "1"
    record = story.record
    assert record.state is State.FELL_BACK
    assert [(o.kind, o.version, o.reason) for o in record.outcomes] == [
        ("fell-back", "2", "not healthy: the engine does not load")
    ]
    story.good()
    assert story.record.state is State.FELL_BACK
    assert story.power_on() == "1", "and it stays left"


def test_a_version_that_dies_before_var_is_left_and_the_reason_says_how_early(story: Story) -> None:
    for _ in range(TRIES):
        assert story.power_on(as_far_as_var=False) == "2"
    assert story.power_on() == "1"
    assert "3 starts ended before /var was there" in story.record.outcomes[-1].reason


def test_a_hang_is_told_by_the_watchdog(story: Story) -> None:
    story.power_on()
    for _ in range(TRIES - 1):
        assert story.power_on(ended="watchdog", ended_words="the hardware's watchdog reset the box") == "2"
    assert story.power_on(ended="watchdog", ended_words="the hardware's watchdog reset the box") == "1"
    assert "watchdog" in story.record.outcomes[-1].reason


def test_a_panic_is_told_in_the_kernels_words(story: Story) -> None:
    for _ in range(TRIES):
        story.power_on(ended="panic", ended_words="Kernel panic - not syncing: sysrq")
    assert story.power_on(ended="panic", ended_words="Kernel panic - not syncing: sysrq") == "1"
    assert "sysrq" in story.record.outcomes[-1].reason


def test_power_cuts_during_the_trial_give_the_try_back_but_not_for_ever(story: Story) -> None:
    starts = 0
    while story.power_on() == "2":
        starts += 1
        assert starts < 50, "a hang that looks like a power cut goes round for ever"
    assert starts == TRIES + MAX_EXCUSED
    assert "without a word" in story.record.outcomes[-1].reason


def test_two_power_cuts_do_not_throw_a_good_update_away(story: Story) -> None:
    story.power_on()
    story.power_on()
    assert story.power_on() == "2"
    story.good()
    assert story.record.state is State.GOOD
    assert story.tries("2") == TRIES


def test_orderly_restarts_before_the_verdict_give_the_try_back(story: Story) -> None:
    for _ in range(MAX_EXCUSED):
        assert story.power_on() == "2"
        story.shut_down()
    assert story.power_on() == "2"
    assert story.tries("2") == TRIES - 1
    story.good()


def test_a_restart_that_a_bad_verdict_wants_gives_nothing_back(story: Story) -> None:
    story.power_on()
    story.bad()
    story.shut_down()
    assert story.tries("2") == TRIES - 1


def test_a_good_version_that_breaks_later_is_left_after_three_starts(story: Story) -> None:
    story.power_on()
    story.good()
    for _ in range(20):
        story.shut_down()
        assert story.power_on() == "2"
        story.good()
    for _ in range(TRIES):
        assert story.power_on(ended="panic", ended_words="Kernel panic - not syncing: broken") == "2"
    assert story.power_on(ended="panic", ended_words="Kernel panic - not syncing: broken") == "1"
    assert story.record.state is State.FELL_BACK
    assert [o.kind for o in story.record.outcomes][-1] == "fell-back"
    story.good()
    assert story.power_on() == "1"


def test_when_both_are_bad_the_box_stays_up_instead_of_going_round(story: Story) -> None:
    restarts = 0
    story.power_on()
    while story.bad():
        restarts += 1
        assert restarts < 20
        story.power_on()
    assert restarts == 2 * TRIES - 1
    assert story.box.box().esp.entries() == (Entry("1", 0, 3), Entry("2", 0, 3))


def test_a_bad_first_start_of_an_installed_box_does_not_go_round(tmp_path: Path) -> None:
    box = BoxDisk(tmp_path / "box", MAKER)
    seen = Seen(1, "a", box.start(), box.box().esp.entries())
    begin_boot(box.box(), seen)
    assert not boot_is_bad(box.box(), seen, "no tap")


def test_a_good_boot_that_ends_without_order_is_told(story: Story) -> None:
    story.power_on()
    story.good()
    story.power_on(ended="watchdog", ended_words="the hardware's watchdog reset the box")
    assert ("restarted", "2") in [(o.kind, o.version) for o in story.record.outcomes]
    story.good()
    story.shut_down()
    before = story.record.outcomes
    story.power_on()
    assert story.record.outcomes == before


def test_begin_is_harmless_when_it_comes_twice_in_one_start(story: Story) -> None:
    story.power_on()
    record = story.record
    begin_boot(story.box.box(), story.seen())
    assert story.record == record


def test_a_damaged_record_is_replaced_and_said(story: Story) -> None:
    story.box.memory.path.write_bytes(b"{")
    story.power_on()
    story.good()
    assert story.record.good_version == "2"
    assert "damaged" in story.record.reason


@given(st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_a_record_or_one_error(data: bytes) -> None:
    with pytest.raises(RecordError):
        Record.from_json(data)


def test_a_record_is_read_as_it_was_written(story: Story) -> None:
    story.power_on()
    story.bad()
    assert Record.from_json(story.record.to_json()) == story.record


@given(st.text(max_size=40) | st.from_regex(r"vedette_[0-9.]{1,5}(\+[0-9]{1,3}(-[0-9]{1,9})?)?\.efi", fullmatch=True))
def test_a_file_name_is_an_entry_or_none_of_ours(name: str) -> None:
    entry = parse_entry(name)
    if entry is not None:
        assert parse_entry(entry.name) == entry


def test_a_count_that_grew_for_weeks_is_still_a_kernel_file_of_ours() -> None:
    assert parse_entry("vedette_0.1.0+0-10000.efi") == Entry("0.1.0", 0, 10_000)
    record = Record(state=State.TRIAL, version="0.1.0", trials=10_001)
    assert Record.from_json(record.to_json()) == record


def test_the_table_knows_no_way_out_of_a_trial_but_good_and_back() -> None:
    ways = {
        event: state for (state, event), after_ in TRANSITIONS.items() if state is State.TRIAL for state in [after_]
    }
    assert ways == {
        Event.STARTED: State.TRIAL,
        Event.PASSED_OVER: State.FELL_BACK,
        Event.HEALTHY: State.GOOD,
    }
    with pytest.raises(ValueError, match="WRITTEN in state IDLE"):
        after(State.IDLE, Event.WRITTEN)


def test_outcomes_are_bounded_and_numbered(story: Story) -> None:
    record = story.record
    for number in range(30):
        record = record.with_outcome("restarted", "2", "x" * 1000, number)
    assert [o.number for o in record.outcomes] == list(range(23, 31))
    assert Record.from_json(replace(record).to_json()) == record
