"""Why the box was started: whatever a file holds, one short reason of a listed kind comes out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.health import Start, Starts, parse_start, read_starts
from appliance.health.start import BOX_KINDS, SENSOR_KINDS

PROGRAM = Path(__file__).parents[3] / "image/overlay/usr/lib/vedette/start_reason"


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b"watchdog it reset the box\n", Start("watchdog", "it reset the box")),
        (b"planned", Start("planned", "")),
        (b"", Start("unknown", "")),
        (b"heat 90 C\n", Start("unknown", "heat 90 C")),
        (b"power a\nwatchdog b\n", Start("power", "a")),
        (b"panic \x1b[31mred\xff\n", Start("panic", "?[31mred\ufffd")),
    ],
)
def test_one_line_is_one_reason(data: bytes, wanted: Start) -> None:
    assert parse_start(data, BOX_KINDS) == wanted


@given(st.binary(max_size=2000))
def test_any_bytes_are_a_listed_kind_and_printable_words_of_bounded_length(data: bytes) -> None:
    start = parse_start(data, BOX_KINDS)
    assert start.kind in BOX_KINDS
    assert start.text.isprintable() or start.text == ""
    assert len(start.text) <= 512


def test_a_box_without_notes_says_nothing_and_an_unreadable_note_is_told(tmp_path: Path) -> None:
    assert read_starts(tmp_path / "box", tmp_path / "ended") == Starts()
    (tmp_path / "box").mkdir()
    box = read_starts(tmp_path / "box", tmp_path / "ended").box
    assert box is not None
    assert box.kind == "unknown"


def test_a_watchdogs_restart_of_the_sensor_is_read(tmp_path: Path) -> None:
    (tmp_path / "ended").write_bytes(b"watchdog\n")
    assert read_starts(tmp_path / "box", tmp_path / "ended").sensor == Start("watchdog", "")


def test_the_image_writes_only_kinds_that_are_listed() -> None:
    written = set(re.findall(r'Reason\("([a-z-]+)"', PROGRAM.read_text(encoding="utf-8")))
    assert written
    assert written <= BOX_KINDS
    assert "watchdog" in SENSOR_KINDS
