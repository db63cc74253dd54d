"""A firmware arrives whole in the spare slot or not at all, however the supervisor and the line behave."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.mcu import FirmwareFileError, UpgradeFailedError
from appliance.mcu.upgrade import MAX_BYTES, Firmware, upgrade
from appliance.wire import mcu_words as words
from appliance.wire.mcu_link import MAX_BODY

RP2350 = words.BOARDS.index("rp2350")


def image(size: int = 5000, board: int = RP2350) -> bytes:
    return b"VFW1" + struct.pack(">BBH", 6, board, 1) + bytes(index % 251 for index in range(size))


class Slot:
    """The supervisor's end of an upgrade, as its firmware answers; `bend` may change an answer."""

    def __init__(self, bend: Callable[[int, Any], Any] = lambda _, state: state, stage_at_end: str = "written") -> None:
        self.data = b""
        self.size = 0
        self.digest = b""
        self.stage = "idle"
        self.asked = 0
        self._bend = bend
        self._stage_at_end = stage_at_end

    def ask(self, kind: int, *values: Any, within_s: float = 0, patience_s: float = 0) -> Any:
        words.pack(kind, *values)
        assert within_s > patience_s >= 0
        self.asked += 1
        if kind == words.UPGRADE_BEGIN:
            self.size, *_, self.digest = values
            self.data, self.stage = b"", "receiving"
        elif kind == words.UPGRADE_BLOCK and self.stage == "receiving" and values[0] == len(self.data):
            self.data += values[1]
        elif kind == words.UPGRADE_END and self.stage == "receiving":
            whole = len(self.data) == self.size and hashlib.sha256(self.data).digest() == self.digest
            self.stage = self._stage_at_end if whole else "damaged"
        return self._bend(self.asked, words.UpgradeState(words.STAGES.index(self.stage), len(self.data)))


def send(slot: Slot, data: bytes, block_bytes: int = 128, progress: list[int] | None = None) -> None:
    firmware = Firmware.parse("supervisor-rp2350-1.2.3.vfw", data)
    told = [] if progress is None else progress
    upgrade(slot.ask, firmware, board="rp2350", block_bytes=block_bytes, on_progress=lambda at, _: told.append(at))


@given(st.integers(1, 3000), st.sampled_from([1, 7, 128, 188, 1000]))
def test_what_arrives_is_the_file(size: int, block_bytes: int) -> None:
    slot, progress = Slot(), []
    send(slot, image(size), max(block_bytes, size // 200), progress)
    assert slot.data == image(size)
    assert slot.stage == "written"
    assert progress == sorted(progress)
    assert progress[-1] == len(image(size))


def test_a_board_that_names_no_or_a_huge_block_gets_one_that_fits() -> None:
    for block_bytes in (0, 65_535):
        slot = Slot()
        send(slot, image(100), block_bytes)
        assert slot.data == image(100)
    assert MAX_BODY - 4 < 65_535


@pytest.mark.parametrize("stage", ["damaged", "full", "not-ours"])
def test_an_upgrade_that_ended_badly_says_what_to_do(stage: str) -> None:
    with pytest.raises(UpgradeFailedError, match=f"ended as {stage}") as told:
        send(Slot(stage_at_end=stage), image())
    assert told.value.advice
    assert "what ran before runs on" in str(told.value)


def test_a_supervisor_that_restarted_half_way_is_sent_all_of_it_again() -> None:
    slot = Slot()

    def forget(asked: int, state: Any) -> Any:
        if asked == 10:
            slot.stage = "idle"
            return words.UpgradeState(0, 0)
        return state

    slot._bend = forget
    send(slot, image())
    assert slot.data == image()
    assert slot.stage == "written"


def test_a_supervisor_that_forgets_for_ever_is_given_up() -> None:
    with pytest.raises(UpgradeFailedError, match="3 times"):
        send(Slot(lambda *_: words.UpgradeState(0, 0)), image())


def test_a_supervisor_that_gets_no_further_is_given_up_in_bounded_time() -> None:
    slot = Slot(lambda *_: words.UpgradeState(words.STAGES.index("receiving"), 0))
    with pytest.raises(UpgradeFailedError, match="no further"):
        send(slot, image())
    assert slot.asked < 120


def test_a_supervisor_that_wants_what_is_not_there_is_refused() -> None:
    with pytest.raises(UpgradeFailedError, match="wants octet"):
        send(Slot(lambda *_: words.UpgradeState(words.STAGES.index("receiving"), 1 << 31)), image())


@given(st.lists(st.tuples(st.integers(0, len(words.STAGES) - 1), st.integers(0, 0xFFFFFFFF)), max_size=60))
def test_any_answers_end_in_a_written_firmware_or_one_named_error(answers: list[tuple[int, int]]) -> None:
    plan = iter(answers)
    slot = Slot(lambda _, state: words.UpgradeState(*next(plan, tuple(state))))
    try:
        send(slot, image(1000))
    except UpgradeFailedError:
        return


def test_late_answers_do_no_harm() -> None:
    states: list[Any] = []

    def late(_: int, state: Any) -> Any:
        states.append(state)
        return states[-2] if len(states) % 3 == 0 and len(states) > 3 else state

    slot = Slot(late)
    send(slot, image(2000))
    assert slot.data == image(2000)


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("x-1.0.0.uf2", b"UF2\n" + bytes(600), "VFW1"),
        ("x-1.0.0.vfw", b"", "VFW1"),
        ("x-1.0.0.vfw", b"VFW1", "VFW1"),
        ("x-1.0.0.vfw", image(board=200), "board 200"),
        ("x-1.0.0.vfw", b"VFW1" + bytes(MAX_BYTES), "more than"),
        ("x.vfw", image(), "no version in its name"),
        ("x-1.0.300.vfw", image(), "numbers up to 255"),
    ],
)
def test_a_file_that_is_no_firmware_is_refused_before_anything_is_sent(name: str, data: bytes, said: str) -> None:
    with pytest.raises(FirmwareFileError, match=said):
        Firmware.parse(name, data)


def test_the_version_is_the_one_that_is_said_or_the_names() -> None:
    assert Firmware.parse("/a-9.9.9/supervisor-1.2.3.vfw", image()).version == (1, 2, 3)
    assert Firmware.parse("supervisor-1.2.3.vfw", image(), "4.5.6").version_text == "4.5.6"
    with pytest.raises(FirmwareFileError):
        Firmware.parse("supervisor-1.2.3.vfw", image(), "4.5")


def test_another_boards_firmware_is_refused_before_anything_is_sent() -> None:
    slot = Slot()
    with pytest.raises(FirmwareFileError, match="for rp2040 came, one for rp2350"):
        send(slot, image(board=words.BOARDS.index("rp2040")))
    assert slot.asked == 0


@given(st.binary(max_size=64), st.text(max_size=20))
def test_any_file_is_a_firmware_or_one_named_error(data: bytes, name: str) -> None:
    try:
        firmware = Firmware.parse(name, data)
    except FirmwareFileError:
        return
    assert firmware.board in words.BOARDS
