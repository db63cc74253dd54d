"""A board without a key is paired by the box itself; no other board is given anything."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.clock import SystemClock
from appliance.mcu import Link, SerialPort, Supervisor
from appliance.mcu.pairing import AGAIN_S, Pairing
from appliance.wire import mcu_words as words
from appliance.wire.mcu_link import UNPAIRED_KEY, fingerprint
from tests.appliance.mcu.line import HEALTHY, Line
from tests.fakes.board import KEY, Board
from tests.fakes.serial_line import SerialLine
from tests.fakes.virtual_board import VirtualBoard

WAIT_S = 60.0


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def line(tmp_path: Path) -> Iterator[SerialLine]:
    with SerialLine(VirtualBoard(is_paired=False), tmp_path / "port") as made:
        yield made


def at(line: SerialLine, key: bytes | None, told: list[str], *, pairs: bool = True) -> Supervisor:
    return Supervisor(
        str(line.path),
        lambda: SerialPort(str(line.path)),
        Link(key, os.urandom, SystemClock().monotonic_s()),
        SystemClock(),
        health=lambda: HEALTHY,
        pairs=pairs,
        on_event=told.append,
    )


def until_up(line: SerialLine, supervisor: Supervisor) -> None:
    """With the loop in its thread, until the board hears healthy beats."""
    stop = threading.Event()
    thread = threading.Thread(target=supervisor.run, args=(stop,))
    thread.start()
    try:
        assert isinstance(line.board, VirtualBoard)
        line.board.until("UP", WAIT_S)
    finally:
        stop.set()
        thread.join(WAIT_S)


def test_a_new_board_is_paired_and_watches_from_then_on(line: SerialLine, told: list[str]) -> None:
    until_up(line, at(line, KEY, told))
    assert told == [f"paired with this box by itself, key {fingerprint(KEY).hex()}"]
    assert isinstance(line.board, VirtualBoard)
    assert line.board.bench.supervisor.pairing.key == KEY
    told.clear()
    until_up(line, at(line, KEY, told))
    assert told == [], "once"


@pytest.mark.parametrize(("key", "pairs"), [(None, True), (KEY, False)], ids=["no key", "not wanted"])
def test_without_a_key_or_the_makers_wish_nothing_is_given(
    line: SerialLine, told: list[str], key: bytes | None, pairs: bool
) -> None:
    supervisor = at(line, key, told, pairs=pairs)
    supervisor.open()
    while supervisor.status().state != "unpaired":
        supervisor.turn()
    for _ in range(5):
        supervisor.turn()
    supervisor.close()
    assert isinstance(line.board, VirtualBoard)
    assert not line.board.bench.supervisor.pairing.is_paired


def stepped(line: Line, pairing: Pairing, seconds: float) -> list[str]:
    """Both sides, as the loop turns them."""
    said, until_s = [], line.now_s + seconds
    while line.now_s < until_s:
        line.turn()
        said.append(pairing.step(line.link, line.now_s))
        line.now_s += 0.1
    return [text for text in said if text]


def test_a_board_with_another_boxs_key_is_given_nothing() -> None:
    line = Line(Board(key=b"\7" * 32))
    line.link.opened(line.now_s)
    assert stepped(line, Pairing(), 60) == []
    assert line.board.orders == []
    assert line.link.state.value == "silent"


def test_a_board_that_refuses_its_key_is_not_stormed() -> None:
    line = Line(Board(key=UNPAIRED_KEY))
    line.link.opened(line.now_s)
    said = stepped(line, Pairing(), 2.5 * AGAIN_S)
    assert len(said) in (2, 3)
    assert all(text.startswith("not paired: ") and "refused" in text for text in said)


def test_a_board_that_answers_with_another_key_is_told() -> None:
    board = Board(key=UNPAIRED_KEY)
    board.answers[words.PAIR] = lambda _: (words.PAIRED, words.pack(words.PAIRED, fingerprint(b"\7" * 32)))
    line = Line(board)
    line.link.opened(line.now_s)
    assert stepped(line, Pairing(), 30) == ["not paired: it kept another key than it was given"]


def test_a_lost_answer_is_found_out_by_the_greeting() -> None:
    board = VirtualBoard(is_paired=False)
    line = Line()
    lost: list[bytes] = []

    def up(data: bytes) -> bytes:
        # All that it says in the turn in which it has taken the key is lost.
        if board.bench.supervisor.pairing.is_paired and not lost:
            lost.append(data)
            return b""
        return data

    line.up, line.board = up, board  # type: ignore[assignment]
    line.link.opened(line.now_s)
    said = stepped(line, Pairing(), 60)
    assert lost
    assert all(text.startswith("not paired") for text in said)
    assert board.state == "UP"
