"""A downgrade comes back; a verdict is given and an end told apart also when record or ESP cannot be had."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from appliance.update import DiskFault, Order, State
from appliance.update.boot import begin_boot, boot_is_bad, end_boot
from appliance.update.entries import MAX_EXCUSED, TRIES, Entry
from appliance.update.judge import Seen
from tests.fakes.box_disk import RECOVERY
from tests.fakes.box_story import MAKER, Story


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path)


@pytest.fixture
def downgraded(story: Story, tmp_path: Path) -> Story:
    """Version 2 is good and runs; version 1, which the operator wants instead, waits."""
    story.power_on()
    story.good()
    story.box.install(MAKER.bundle(tmp_path / "old", "1"), Order(older=True))
    return story


def test_a_downgrade_that_fails_comes_back_to_the_newer_version(downgraded: Story, tmp_path: Path) -> None:
    story = downgraded
    for _ in range(TRIES):
        assert story.power_on() == "1"
        assert story.bad("no engine"), "the newer one is left to try"
    assert story.power_on() == "2"
    assert story.record.state is State.FELL_BACK
    assert story.record.outcomes[-1].reason == "not healthy: no engine"
    story.good()
    assert story.tries("2") == TRIES
    assert story.box.install(MAKER.bundle(tmp_path / "next", "3")).state is State.STAGED


def test_a_downgrade_after_which_both_are_bad_stays_up_in_the_newer_version(downgraded: Story) -> None:
    restarts = 0
    downgraded.power_on()
    while downgraded.bad():
        restarts += 1
        assert restarts < 20
        downgraded.power_on()
    assert (restarts, downgraded.box.running) == (2 * TRIES - 1, "2")


def test_a_downgrade_that_crashes_comes_back_by_way_of_the_recovery_system(downgraded: Story) -> None:
    story = downgraded
    for _ in range(TRIES):
        assert story.power_on(as_far_as_var=False) == "1"
    assert story.power_on(as_far_as_var=False) == RECOVERY
    assert story.box.run(story.box.recovery_system()) == "2"
    begin_boot(story.box.box(), story.seen())
    assert story.record.state is State.FELL_BACK
    story.good()
    assert story.tries("2") == TRIES


def test_a_bad_verdict_restarts_also_when_the_record_cannot_be_written(downgraded: Story) -> None:
    story = downgraded
    memory = story.box.memory.path
    starts = 0
    while story.power_on() == "1":
        starts += 1
        faults: list[DiskFault] = []
        memory.with_name("record.json.new").mkdir()
        assert boot_is_bad(story.box.box(), story.seen(), "/var is full", faults.append)
        assert len(faults) == 1
        memory.with_name("record.json.new").rmdir()
    # What nobody could note looks like a power cut.
    assert (starts, story.box.running) == (TRIES + MAX_EXCUSED, "2")


def test_a_bad_verdict_without_a_record_is_what_the_esp_says_and_replaces_no_record(story: Story) -> None:
    kept = story.box.memory.path
    kept.unlink()
    kept.mkdir()
    kept.with_name(".lock").unlink()
    kept.with_name(".lock").mkdir()
    said, faults = [], []
    for _ in range(2 * TRIES):
        story.power_on(as_far_as_var=False)
        said.append(boot_is_bad(story.box.box(), story.seen(), "/var: read-only", faults.append))
    assert said == [True] * (2 * TRIES - 1) + [False]
    assert len(faults) == 2 * len(said), "lock and record, each time"
    assert kept.is_dir()


def test_a_bad_update_that_cannot_read_the_esp_is_left_by_the_boot_loader(story: Story) -> None:
    esp = story.box.folder / "esp/EFI/Linux"
    for version, again in (("2", True), ("2", True), ("2", True), ("1", False)):
        assert story.power_on() == version
        esp.rename(esp.with_name("gone"))
        faults: list[DiskFault] = []
        assert boot_is_bad(story.box.box(), Seen(1, "x", version, ()), "no vfat", faults.append) is again
        assert len(faults) == 1
        esp.with_name("gone").rename(esp)


def test_a_version_that_cannot_be_given_its_tries_back_is_not_restarted_for(downgraded: Story) -> None:
    for _ in range(TRIES):
        downgraded.power_on()
    esp = downgraded.box.folder / "esp/EFI/Linux"
    (esp / "vedette_2+3-0.efi").mkdir()
    (esp / "vedette_2+3-0.efi/x").touch()
    real = Seen(1, "x", "1", ())
    faults: list[DiskFault] = []
    entries = (Entry("1", 0, 3), Entry("2", 0, 0))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("appliance.update.esp.Esp.entries", lambda _: entries)
        assert not boot_is_bad(downgraded.box.box(), real, "no engine", faults.append)
    assert len(faults) == 1


def test_an_orderly_end_that_nobody_could_note_is_no_power_loss(story: Story) -> None:
    story.power_on()
    story.good()
    before = story.record.outcomes
    story.power_on(ended="planned", ended_words="restarted in order")
    assert story.record.outcomes == before


def test_an_orderly_end_before_the_verdict_that_nobody_could_note_gives_its_try_back(story: Story) -> None:
    for _ in range(MAX_EXCUSED):
        assert story.power_on(ended="planned") == "2"
    assert story.power_on(ended="planned") == "2"
    assert story.tries("2") == TRIES - 1


def test_an_end_without_the_esp_is_noted_when_there_is_a_verdict_and_else_made_up_for(story: Story) -> None:
    esp = story.box.folder / "esp/EFI/Linux"

    def end_without_esp() -> None:
        seen = replace(story.seen(), entries=())
        esp.rename(esp.with_name("gone"))
        end_boot(story.box.box(), seen)
        esp.with_name("gone").rename(esp)

    story.power_on()
    end_without_esp()
    assert not story.record.boot.end
    story.power_on(ended="planned")
    assert story.tries("2") == TRIES - 1, "one of the two came back"
    story.good()
    end_without_esp()
    assert story.record.boot.end
