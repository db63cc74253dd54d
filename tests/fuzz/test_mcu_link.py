"""The host's side of the supervisor's link against streams grown from what a real board says.

Rules of this file: deterministic (a seed is a case); whatever comes, the link raises nothing, holds no more than a
frame, believes nothing that the board has not said, and is up again soon after the line is good again.
VEDETTE_FUZZ_ROUNDS sets the number of streams of each seed for a long run.
"""

from __future__ import annotations

import os
import random

import pytest

from appliance.mcu.link import GREET_MOST_S, SILENCE_S, Link, State
from appliance.wire import mcu_words as words
from appliance.wire.mcu_link import MAX_FRAME, seal
from tests.fakes.board import GOOD, KEY, Board

ROUNDS = int(os.environ.get("VEDETTE_FUZZ_ROUNDS", "60"))
HEALTHY = (words.RUNNING, words.ALL_ALIVE, 7)
GENUINE = {GOOD, GOOD._replace(boots=2)}


def grow(rng: random.Random, said: bytes, heard: list[bytes]) -> bytes:
    """What becomes of some octets on a line that somebody else can write to."""
    data = bytearray(said)
    for _ in range(rng.choice((0, 0, 1, 1, 2, 4))):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(9):
            case 0:
                data[at:at] = rng.randbytes(rng.choice((1, 5, 40, 300)))
            case 1:
                del data[at : at + rng.choice((1, 2, 20))]
            case 2 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 3:
                data[at:at] = rng.choice(heard) if heard else b""
            case 4:
                data[at:at] = bytes(rng.choice((1, 3)))
            case 5:
                data[at:at] = b"\1" * rng.choice((10, 600))
            case 6:
                stranger = seal(
                    rng.randbytes(32), rng.choice(sorted(words.BODIES)), rng.randrange(9), rng.randbytes(20)
                )
                data[at:at] = stranger
            case 7:
                data[at:at] = seal(KEY, words.WELCOME, 0, rng.randbytes(48))
            case 8:
                data = bytearray(reversed(data))
    return bytes(data)


def play(rng: random.Random) -> None:
    """Half a minute on a bad line, and then a good one."""
    board, now_s = Board(), 100.0
    link = Link(KEY, rng.randbytes, now_s)
    link.opened(now_s)
    heard: list[bytes] = []
    told = []

    def turn(is_bad: bool) -> None:
        nonlocal now_s
        said = board.hear(link.send(now_s, lambda: HEALTHY))
        if said:
            heard[-20:] = [*heard[-19:], said]
        coming = grow(rng, said, heard) if is_bad else said
        while coming:
            size = rng.choice((1, 7, 64, 4096))
            told.extend(link.receive(coming[:size], now_s))
            coming = coming[size:]
        assert len(link._reader._held) <= MAX_FRAME
        assert link.status is None or link.status in GENUINE
        now_s += max(link.wait_s(now_s), 0.05)

    for number in range(40):
        if rng.random() < 0.1:
            board.power()
        if rng.random() < 0.1:
            board.status = rng.choice(sorted(GENUINE))
        if rng.random() < 0.05:
            link.gone(now_s, "pulled out")
            link.opened(now_s)
        turn(is_bad=number > 0)
    until_s = now_s + SILENCE_S + 4 * GREET_MOST_S
    while now_s < until_s:
        turn(is_bad=False)
    assert link.state is State.UP
    assert link.status == board.status
    assert told == [], "nobody has said an event"
    assert all(beat == words.Beat(*HEALTHY) for beat in board.beats)


@pytest.mark.parametrize("seed", range(6))
def test_a_line_that_others_write_to_costs_time_and_never_the_truth(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(ROUNDS):
        play(rng)
