"""The link end to end: the real firmware on MicroPython, a pty, and the appliance's own words on the other side."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import termios
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cbor2
import pytest

from appliance.wire import mcu_link, mcu_words
from tests.fakes.supervisor_vm import SupervisorVm

pytestmark = pytest.mark.micropython
KEY = bytes(range(32))
NONCE = bytes(range(16))


class Host:
    """A host on the terminal: speaks, lets the supervisor turn, hears."""

    def __init__(self, board: SupervisorVm) -> None:
        self.board = board
        self.fd = os.open(board.tty, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self.fd)
        self.reader = mcu_link.Reader()
        self.session: mcu_link.Session | None = None
        self.events: list[Any] = []

    def frames(self) -> list[bytes]:
        self.board.turn()
        out: list[bytes] = []
        while True:
            try:
                out += self.reader.feed(os.read(self.fd, 4096))
            except BlockingIOError:
                return out

    def hello(self, key: bytes = KEY) -> Any:
        body = mcu_words.pack(mcu_words.HELLO, NONCE, mcu_words.OLDEST, mcu_words.NEWEST, 31)
        os.write(self.fd, mcu_link.seal(key, mcu_words.HELLO, 0, body))
        for frame in self.frames():
            with contextlib.suppress(mcu_link.LinkError):  # an event of the session before
                kind, _, body = mcu_link.unseal(key, frame, NONCE)
                welcome = mcu_words.unpack(kind, body)
        assert isinstance(welcome, mcu_words.Welcome)
        self.session = mcu_link.Session(key, NONCE, welcome.nonce, is_host=True)
        return welcome

    def say(self, kind: int, *values: int | bytes) -> Any:
        assert self.session is not None
        os.write(self.fd, self.session.seal(kind, mcu_words.pack(kind, *values)))
        answers = []
        for frame in self.frames():
            word = mcu_words.unpack(*self.session.open(frame))
            (self.events if isinstance(word, mcu_words.Event) else answers).append(word)
        return answers[0] if answers else None

    def beat(self) -> Any:
        return self.say(mcu_words.BEAT, mcu_words.RUNNING, mcu_words.ALL_ALIVE, 1)


def state(status: object) -> str:
    assert isinstance(status, mcu_words.Status)
    return mcu_words.STATES[status.state]


@pytest.fixture
def board(tmp_path: Path) -> Iterator[SupervisorVm]:
    with SupervisorVm(tmp_path) as made:
        yield made


@pytest.fixture
def host(board: SupervisorVm) -> Iterator[Host]:
    """A paired host that is up."""
    made = Host(board)
    made.hello(mcu_link.UNPAIRED_KEY)
    assert made.say(mcu_words.PAIR, KEY) == (mcu_link.fingerprint(KEY),)
    made.hello()
    assert state(made.beat()) == "UP"
    yield made
    os.close(made.fd)


def test_a_host_that_beats_keeps_its_power_and_one_that_stops_is_cycled(board: SupervisorVm, host: Host) -> None:
    for _ in range(60):
        board.pass_time(5000)
        assert host.beat() is not None
    assert board.turn().cuts == 0
    assert not board.pass_time(16_000).has_power
    seen = board.pass_time(5000)
    assert (seen.has_power, seen.cuts) == (True, 1)
    assert mcu_words.RESETS[host.hello().reset] == "beats-stopped"


def test_the_key_and_the_failures_survive_the_power_of_the_board(tmp_path: Path) -> None:
    with SupervisorVm(tmp_path) as board:
        one = Host(board)
        one.hello(mcu_link.UNPAIRED_KEY)
        one.say(mcu_words.PAIR, KEY)
        board.pass_time(125_000)
        os.close(one.fd)
    with SupervisorVm(tmp_path) as board:
        one = Host(board)
        welcome = one.hello()
        assert (welcome.boots, mcu_words.RESETS[welcome.reset]) == (1, "power-on")
        os.close(one.fd)


def test_a_reset_of_the_supervisor_under_a_running_host_costs_a_hello(board: SupervisorVm, host: Host) -> None:
    assert board.reset("watchdog").cuts == 0
    assert host.beat() is None
    welcome = host.hello()
    assert welcome.flags & mcu_words.OWN_WATCHDOG
    assert state(host.beat()) == "UP"
    assert board.turn().cuts == 0


def test_noise_forged_frames_and_replays_are_silence(board: SupervisorVm, host: Host) -> None:
    noise = random.Random(1)
    stranger = mcu_link.Session(bytes(32), NONCE, NONCE, is_host=True)
    assert host.session is not None
    old = host.session.seal(mcu_words.POWER, b"\1")
    host.beat()
    for _ in range(20):
        os.write(host.fd, noise.randbytes(200) + b"\0")
        os.write(host.fd, stranger.seal(mcu_words.POWER, b"\0") + old)
        assert host.frames() == []
    status = host.beat()
    assert state(status) == "UP"
    assert status.dropped >= 40


def test_the_port_may_be_closed_and_opened(board: SupervisorVm, host: Host) -> None:
    os.close(host.fd)
    board.pass_time(3000)
    host.fd = os.open(board.tty, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    termios.tcflush(host.fd, termios.TCIOFLUSH)
    assert host.beat() is not None


def test_ten_minutes_of_beats_cost_no_memory(board: SupervisorVm, host: Host) -> None:
    free = []
    for _ in range(600):
        board.turn(990)
        free.append(host.beat().free_bytes)
    assert min(free[300:]) >= min(free[:300])


def test_measurements_come_as_senml(board: SupervisorVm, host: Host) -> None:
    board.pass_time(2000)
    word = host.say(mcu_words.MEASURE)
    assert isinstance(word, mcu_words.Measurements)
    pack = cbor2.loads(word.data)
    assert pack[0][-2].startswith("vedette:supervisor:")
    assert {record[0]: record[1] for record in pack} == {
        "supply": "V",
        "temperature": "Cel",
        "uptime": "s",
        "boots": "count",
    }


def test_the_secure_element_answers_through_the_link(host: Host) -> None:
    assert host.say(mcu_words.SECURE, 0x30, 0, 0, b"") == (0, bytes.fromhex("00006002"))


def test_a_firmware_is_sent_runs_on_trial_and_is_taken_back(board: SupervisorVm, host: Host) -> None:
    image = b"VFW1\6\0\0\1" + b"\x0arelease.py" + (40).to_bytes(4, "big") + b"NUMBERS = (0, 9, 0)".ljust(40)
    state = host.say(mcu_words.UPGRADE_BEGIN, len(image), 0, 9, 0, hashlib.sha256(image).digest())
    for at in range(0, len(image), 32):
        state = host.say(mcu_words.UPGRADE_BLOCK, at, image[at : at + 32])
    assert state == (mcu_words.STAGES.index("receiving"), len(image))
    assert host.say(mcu_words.UPGRADE_END) == (mcu_words.STAGES.index("written"), len(image))
    seen = board.pass_time(3000)
    assert (seen.restarts, seen.cuts) == (1, 0)
    welcome = host.hello()
    assert (welcome.firmware_minor, welcome.flags & mcu_words.UPGRADE_ON_TRIAL) == (9, mcu_words.UPGRADE_ON_TRIAL)
    board.reset()
    board.reset("watchdog")
    welcome = host.hello()
    assert (welcome.firmware_minor, welcome.flags & mcu_words.UPGRADE_ON_TRIAL) == (1, 0)
    host.beat()
    board.pass_time(6000)
    host.beat()
    assert mcu_words.EVENTS.index("supervisor-reset") in {event.what for event in host.events}
