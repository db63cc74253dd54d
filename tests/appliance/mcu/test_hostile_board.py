"""Whatever comes over the line, from a board that went mad or a wire that is bad: the link goes on, and is up again."""

from __future__ import annotations

import os
import random

from hypothesis import given
from hypothesis import strategies as st

from appliance.mcu.link import GREET_MOST_S, State
from appliance.wire import mcu_words as words
from appliance.wire.mcu_link import MAX_FRAME
from tests.appliance.mcu.line import HEALTHY, Line
from tests.fakes.board import Board

ROUNDS = int(os.environ.get("VEDETTE_FUZZ_ROUNDS", "0"))


@given(st.lists(st.binary(max_size=300), max_size=20), st.booleans())
def test_any_octets_change_a_counter_and_nothing_else(chunks: list[bytes], in_session: bool) -> None:
    line = Line(Board(deaf=not in_session)).open()
    state, status, sessions = line.link.state, line.link.status, line.link.sessions
    for chunk in chunks:
        assert line.link.receive(chunk, line.now_s) == []
    assert (line.link.state, line.link.status, line.link.sessions) == (state, status, sessions)
    assert len(line.link._reader._held) <= MAX_FRAME
    line.link.receive(b"\0", line.now_s)
    line.board.deaf = False
    line.pass_s(3 * GREET_MOST_S)
    assert line.link.state is State.UP


@given(st.integers(0, 255), st.binary(max_size=100), st.booleans())
def test_any_word_of_a_board_that_went_mad_is_borne(kind: int, body: bytes, ordered: bool) -> None:
    line = Line().open()
    if ordered:
        line.order(words.LEDS, 1, 1)
        line.turn()
    assert line.board._session is not None
    line.link.receive(line.board._session.seal(kind, body), line.now_s)
    line.pass_s(30)
    assert line.link.state is State.UP


@given(st.lists(st.sampled_from(["whole", "cut", "flipped", "twice", "lost", "noise"]), max_size=30), st.data())
def test_a_bad_wire_costs_frames_and_never_the_link(bends: list[str], data: st.DataObject) -> None:
    plan = iter(bends)

    def bend(octets: bytes) -> bytes:
        how = next(plan, "whole")
        if not octets or how == "whole":
            return octets
        at = data.draw(st.integers(0, len(octets) - 1))
        changed = octets[:at] + bytes([octets[at] ^ 0x10]) + octets[at + 1 :]
        return {
            "cut": octets[:at],
            "flipped": changed,
            "twice": octets * 2,
            "lost": b"",
            "noise": b"\x55\0\xaa" + octets,
        }[how]

    line = Line(up=bend).open()
    line.pass_s(40)
    line.up = lambda octets: octets
    line.pass_s(3 * GREET_MOST_S)
    assert line.link.state is State.UP
    assert all(beat == words.Beat(*HEALTHY) for beat in line.board.beats)


def test_random_streams_into_a_running_link_end_in_silence_and_counters() -> None:
    """VEDETTE_FUZZ_ROUNDS=1000000 is the long run of `make firmware-test ARGS=--fuzz`."""
    line, noise = Line().open(), random.Random(1)
    state, status, sessions = line.link.state, line.link.status, line.link.sessions
    for _ in range(max(ROUNDS, 2000)):
        assert line.link.receive(noise.randbytes(64), line.now_s) == []
    assert (line.link.state, line.link.status, line.link.sessions) == (state, status, sessions)
    assert len(line.link._reader._held) <= MAX_FRAME
    line.link.receive(b"\0", line.now_s)
    line.pass_s(3 * GREET_MOST_S)
    assert line.link.state is State.UP
