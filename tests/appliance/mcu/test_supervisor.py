"""The loop over a real terminal device, and over one that a hostile board fills: it goes on, in bounded time."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.clock import SystemClock
from appliance.identity import KeyFileError
from appliance.mcu import Link, NoAnswerError, OrderRefusedError, PortGoneError, SerialPort, Supervisor
from appliance.mcu.supervisor import BYTES_PER_S, KEY_AGAIN_S, READS_PER_S, TOLD_PER_MINUTE, Health
from appliance.wire import mcu_words as words
from appliance.wire.mcu_link import MAX_FRAME
from tests.fakes.board import GOOD, KEY, Board, granted
from tests.fakes.clock import FakeClock
from tests.fakes.serial_line import SerialLine

HEALTHY = (words.RUNNING, words.ALL_ALIVE, 7)
WAIT_S = 60.0
"""How long a test waits for what must come; passing does not depend on it."""


def supervisor_at(path: Path, seen: Callable[[], None], health: Health | None) -> Supervisor:
    return Supervisor(
        str(path),
        lambda: SerialPort(str(path)),
        Link(KEY, os.urandom, SystemClock().monotonic_s()),
        SystemClock(),
        health=health,
        on_event=lambda _: seen(),
        on_state=lambda _: seen(),
    )


class Running:
    """A supervisor's loop in its thread; `until` waits for what its own callbacks make true."""

    def __init__(self, line: SerialLine, health: Health | None = lambda: HEALTHY) -> None:
        self.changed = threading.Condition()
        self.supervisor = supervisor_at(line.path, self._seen, health)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.supervisor.run, args=(self.stop,))
        self.thread.start()

    def _seen(self) -> None:
        with self.changed:
            self.changed.notify_all()

    def until(self, state: str) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.supervisor.status().state == state, WAIT_S), (
                self.supervisor.status()
            )

    def end(self) -> None:
        self.stop.set()
        self.thread.join(WAIT_S)
        assert not self.thread.is_alive()


@pytest.fixture
def line(tmp_path: Path) -> Iterator[SerialLine]:
    with SerialLine(Board(), tmp_path / "supervisor") as made:
        yield made


@pytest.fixture
def running(line: SerialLine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.setattr("appliance.mcu.supervisor.REOPEN_S", 0.01)
    made = Running(line)
    yield made
    made.end()


def test_it_says_what_the_board_says(running: Running) -> None:
    running.until("up")
    said = running.supervisor.status()
    assert (said.last_reset, said.boots, said.firmware) == ("beats-stopped", 1, "1.0.0")
    assert (said.temperature_c, said.voltage_mv, said.left_s) == (41.5, 12_040, 9.0)
    assert said.features == ("upgrade over the link", "voltage and temperature")
    wire = said.to_wire()
    assert (wire.state, wire.last_reset) == ("up", "beats-stopped")


def test_a_board_that_is_pulled_and_plugged_again_is_found_again(running: Running, line: SerialLine) -> None:
    for _ in range(3):
        running.until("up")
        line.unplug()
        running.until("absent")
        assert running.supervisor.status().last_reset == "beats-stopped", "what it said last stays known"
        assert running.supervisor.status().voltage_mv is None, "what changes by the second does not"
        assert isinstance(line.board, Board)
        line.board.power()
        line.plug()


def test_an_order_is_answered_while_beats_go_on(running: Running, line: SerialLine) -> None:
    assert isinstance(line.board, Board)
    line.board.answers[words.HOLD] = lambda word: granted(words.HOLD, word.seconds)
    running.until("up")
    assert running.supervisor.ask(words.HOLD, 300, 2) == words.Done(words.HOLD, 300)
    with pytest.raises(OrderRefusedError):
        running.supervisor.ask(words.POWER, words.CYCLE_NOW)


def test_an_order_to_nobody_ends_in_its_time(line: SerialLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.mcu.supervisor.REOPEN_S", 0.01)
    line.unplug()
    running = Running(line)
    with pytest.raises(NoAnswerError, match="no supervisor board"):
        running.supervisor.ask(words.HOLD, 300, 2, within_s=0.1)
    running.end()


def test_the_last_beat_says_that_the_daemon_ends(line: SerialLine) -> None:
    health = [HEALTHY]
    running = Running(line, lambda: health[0])
    running.until("up")
    health[0] = (words.DRAINING, words.ALL_ALIVE, 7)
    running.end()
    line.unplug()
    assert isinstance(line.board, Board)
    assert line.board.beats[-1].phase == words.DRAINING


def test_an_event_is_told(line: SerialLine, monkeypatch: pytest.MonkeyPatch) -> None:
    running = Running(line)
    running.until("up")
    with line.lock:
        assert isinstance(line.board, Board)
        said = line.board.say(words.EVENT, 1, words.EVENTS.index("tamper"), 0, 3)
    line.say(said)
    with running.changed:
        assert running.changed.wait_for(lambda: running.supervisor.status().last_event == "tamper", WAIT_S)
    running.end()


class Flood:
    """A port that never falls silent; time passes only by what is read from it."""

    def __init__(self, clock: FakeClock, data: bytes) -> None:
        self._clock = clock
        self._data = data
        self.read_bytes = 0
        self.writes: list[bytes] = []

    def read(self, timeout_s: float) -> bytes:  # noqa: ARG002 - the protocol's shape
        self._clock.advance(0.001)
        self.read_bytes += len(self._data)
        return self._data

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def close(self) -> None:
        pass


class Pause:
    """Waits by moving the clock."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.waited_s = 0.0

    def wait(self, seconds: float) -> bool:
        self._clock.advance(seconds)
        self.waited_s += seconds
        return False


@pytest.mark.parametrize(
    "noise",
    [b"\x55" * 4096, bytes(4096), b"\1\0" * 2048, b"login: \r\n" * 400],
    ids=["one frame", "zeros", "cobs", "text"],
)
def test_a_board_that_never_falls_silent_is_read_no_faster_than_it_may(noise: bytes) -> None:
    clock = FakeClock()
    flood, pause = Flood(clock, noise), Pause(clock)
    link = Link(KEY, os.urandom, clock.monotonic_s())
    supervisor = Supervisor("port", lambda: flood, link, clock, health=lambda: HEALTHY)
    supervisor._pause = pause  # type: ignore[assignment]
    start_s = clock.monotonic_s()
    for _ in range(600):
        supervisor.turn()
    passed_s = clock.monotonic_s() - start_s
    assert flood.read_bytes / passed_s < BYTES_PER_S * 1.5
    assert len(link._reader._held) <= MAX_FRAME
    assert supervisor.status().state in ("foreign", "silent")
    assert len(flood.writes) >= 3, "it goes on to greet"


class Dribble(Flood):
    """One octet at each read, as a line gives that is not connected."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock, b"\x55")
        self.reads = 0

    def read(self, timeout_s: float) -> bytes:  # noqa: ARG002 - the protocol's shape
        self.reads += 1
        self._clock.advance(0.00009)
        return self._data


def test_a_line_that_is_not_connected_costs_little() -> None:
    clock = FakeClock()
    dribble, pause = Dribble(clock), Pause(clock)
    supervisor = Supervisor("port", lambda: dribble, Link(KEY, os.urandom, clock.monotonic_s()), clock)
    supervisor._pause = pause  # type: ignore[assignment]
    start_s = clock.monotonic_s()
    for _ in range(5000):
        supervisor.turn()
    assert dribble.reads / (clock.monotonic_s() - start_s) < 2 * READS_PER_S


class Chatter:
    """A board of ours that went mad: events and changes of state without end, each of them genuine."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._board = Board()
        self._answer = b""
        self._number = 0

    def write(self, data: bytes) -> None:
        self._answer += self._board.hear(data)

    def read(self, timeout_s: float) -> bytes:  # noqa: ARG002 - the protocol's shape
        self._clock.advance(0.01)
        said, self._answer = self._answer, b""
        if self._board._session is not None:
            self._number += 1
            said += self._board.say(words.EVENT, self._number, self._number % len(words.EVENTS), 0, 0)
            said += self._board.say(words.STATUS, *GOOD._replace(state=self._number % len(words.STATES)))
        return said

    def close(self) -> None:
        pass


def test_a_board_that_went_mad_does_not_fill_the_log() -> None:
    clock, told = FakeClock(), []
    chatter = Chatter(clock)
    link = Link(KEY, os.urandom, clock.monotonic_s())
    supervisor = Supervisor(
        "port", lambda: chatter, link, clock, health=lambda: HEALTHY, on_event=told.append, on_state=told.append
    )
    supervisor._pause = Pause(clock)  # type: ignore[assignment]
    start_s = clock.monotonic_s()
    for _ in range(20_000):
        supervisor.turn()
    minutes = (clock.monotonic_s() - start_s) / 60
    assert TOLD_PER_MINUTE <= len(told) <= TOLD_PER_MINUTE * (minutes + 1)
    assert supervisor.status().last_event in words.EVENTS


class Vanishing:
    """A port that goes away at its n-th use."""

    def __init__(self, uses: int) -> None:
        self._uses = uses

    def _use(self) -> None:
        self._uses -= 1
        if self._uses < 0:
            raise PortGoneError("port: the line ended")

    def read(self, timeout_s: float) -> bytes:  # noqa: ARG002 - the protocol's shape
        self._use()
        return b""

    def write(self, data: bytes) -> None:  # noqa: ARG002 - the protocol's shape
        self._use()

    def close(self) -> None:
        pass


@pytest.mark.parametrize("uses", range(6))
def test_a_port_may_vanish_at_any_use(uses: int) -> None:
    clock = FakeClock()
    ports = iter([Vanishing(uses)])

    def open_port() -> Vanishing:
        for port in ports:
            return port
        raise PortGoneError("port: not there")

    supervisor = Supervisor("port", open_port, Link(KEY, os.urandom, clock.monotonic_s()), clock)
    supervisor._pause = Pause(clock)  # type: ignore[assignment]
    for _ in range(10):
        clock.advance(1)
        supervisor.turn()
    assert supervisor.status().state == "absent"


def test_a_key_that_cannot_be_had_is_told_and_asked_for_again(line: SerialLine) -> None:
    clock, pause = FakeClock(), Pause(FakeClock())
    answers: list[bytes | KeyFileError] = [KeyFileError("TPM: does not answer"), KEY]

    def key() -> bytes:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, KeyFileError):
            raise answer
        return answer

    supervisor = Supervisor(
        "port", lambda: SerialPort(str(line.path)), Link(None, os.urandom, 0), clock, key=key, health=lambda: HEALTHY
    )
    supervisor._pause = pause  # type: ignore[assignment]
    supervisor.turn()
    assert supervisor.status().state == "faulty"
    assert "TPM: does not answer" in supervisor.status().says
    assert pause.waited_s == KEY_AGAIN_S
    for _ in range(20):
        supervisor.turn()
        clock.advance(0.1)
    assert supervisor.status().is_up
    supervisor.close()


def test_a_box_without_a_board_asks_its_tpm_for_nothing() -> None:
    def key() -> bytes:
        raise AssertionError("asked for")

    def no_port() -> SerialPort:
        raise PortGoneError("port: not there")

    supervisor = Supervisor("port", no_port, Link(None, os.urandom, 0), FakeClock(), key=key)
    supervisor._pause = Pause(FakeClock())  # type: ignore[assignment]
    supervisor.turn()
    assert supervisor.status().state == "absent"
