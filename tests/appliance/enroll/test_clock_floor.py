"""The floor knows what is over, from files that may be rotten, and never goes back."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.enroll.clock_floor import BUILT, STEP_NS, ClockFloor

BUILT_NS = int(BUILT.timestamp()) * 10**9
LATER_NS = BUILT_NS + 400 * STEP_NS


def test_this_software_was_built_in_the_past() -> None:
    assert time.time_ns() >= BUILT_NS


@pytest.mark.parametrize(
    ("text", "expected_ns"),
    [
        ("1830000000\n", 1_830_000_000 * 10**9),
        ("2028-01-01T00:00:00Z", 1_830_297_600 * 10**9),
        ("2028-01-01", 1_830_297_600 * 10**9),
        ("1", BUILT_NS),
        ("yesterday", BUILT_NS),
        ("", BUILT_NS),
        ("²", BUILT_NS),
    ],
)
def test_an_images_date_counts_when_it_is_newer_and_readable(tmp_path: Path, text: str, expected_ns: int) -> None:
    (tmp_path / "build-date").write_text(text)
    assert ClockFloor(tmp_path, tmp_path / "build-date").ns == expected_ns


def test_the_collectors_time_is_kept_over_a_restart_and_seldom_written(tmp_path: Path) -> None:
    floor = ClockFloor(tmp_path, tmp_path / "none")
    floor.learn(LATER_NS)
    assert ClockFloor(tmp_path, tmp_path / "none").ns == LATER_NS
    written = (tmp_path / "clock").stat()
    floor.learn(LATER_NS + STEP_NS - 1)
    floor.learn(LATER_NS - STEP_NS)
    assert (tmp_path / "clock").stat() == written
    assert floor.ns == LATER_NS
    floor.learn(LATER_NS + STEP_NS)
    assert ClockFloor(tmp_path, tmp_path / "none").ns == LATER_NS + STEP_NS


def test_a_disk_that_refuses_leaves_the_floor_where_it_is(tmp_path: Path) -> None:
    floor = ClockFloor(tmp_path / "none", tmp_path / "none")
    floor.learn(LATER_NS)
    assert floor.ns == BUILT_NS


@given(st.binary(max_size=80))
def test_any_bytes_are_a_moment_or_none(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("floor")
    (folder / "clock").write_bytes(data)
    assert ClockFloor(folder, folder / "none").ns >= BUILT_NS
