"""An update holds the board while it writes, at the firmware's own code; no board, port or daemon can fail it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from appliance.cli import held as module
from appliance.cli import update as command
from appliance.cli.held import held
from appliance.cli.main import main
from appliance.cli.reach import keys_of
from appliance.cli.waiting import FRESH_S, Console, note_press
from appliance.clock import SystemClock
from appliance.config import Config, load_config
from appliance.daemon.control import CONTROL_SOCKET, ControlServer
from appliance.daemon.guard import key_source, supervisor_of
from appliance.errors import EnvironmentFault
from appliance.mcu import SupervisorStatus
from appliance.wire import mcu_words as words
from tests.fakes.board import Board
from tests.fakes.serial_line import SerialLine
from tests.fakes.virtual_board import VirtualBoard

WAIT_S = 60.0


@pytest.fixture
def line(tmp_path: Path) -> Iterator[SerialLine]:
    with SerialLine(VirtualBoard(is_paired=False), tmp_path / "port") as made:
        yield made


@pytest.fixture
def file(tmp_path: Path, line: SerialLine) -> Path:
    path = tmp_path / "vedette.toml"
    path.write_text(
        f'[sensor]\nstate_dir = "{tmp_path / "state"}"\n[identity]\nkey_store = "software"\n'
        f'[supervisor]\nport = "{line.path}"\nauto_pair = true\n',
        encoding="utf-8",
    )
    return path


@pytest.fixture
def config(file: Path) -> Config:
    return load_config(file)


def board_of(line: SerialLine) -> VirtualBoard:
    assert isinstance(line.board, VirtualBoard)
    return line.board


@pytest.fixture
def daemon(line: SerialLine, config: Config) -> Iterator[None]:
    """Who has the port: beats, pairs by itself, and takes orders at the control socket."""
    supervisor = supervisor_of(
        config,
        key_source(config, keys_of(config)),
        SystemClock(),
        lambda: (words.RUNNING, words.ALL_ALIVE, 1),
        pairs=True,
    )
    stop = threading.Event()
    thread = threading.Thread(target=supervisor.run, args=(stop,))
    control = ControlServer(Path(config.sensor.state_dir) / "run" / CONTROL_SOCKET, supervisor)
    control.start()
    thread.start()
    board_of(line).until("UP", WAIT_S)
    yield
    stop.set()
    thread.join(WAIT_S)
    control.close()


@pytest.mark.usefixtures("daemon")
def test_by_the_daemon_that_has_the_port_the_board_is_held_and_judges_again(
    line: SerialLine, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with held(file, 600, "update"):
        board_of(line).until("HOLD", WAIT_S)
        line.say(board_of(line).pass_s(300))
        assert board_of(line).power == [True]
    board_of(line).until("UP", WAIT_S)
    said = capsys.readouterr().err
    assert "held for 600 s" in said
    assert "not held any more" in said


@pytest.mark.usefixtures("daemon")
def test_a_failed_update_leaves_no_hold(line: SerialLine, file: Path) -> None:
    with pytest.raises(EnvironmentFault):
        fails_in_a_hold(line, file)
    board_of(line).until("UP", WAIT_S)


def fails_in_a_hold(line: SerialLine, file: Path) -> None:
    with held(file, 600, "update"):
        board_of(line).until("HOLD", WAIT_S)
        raise EnvironmentFault("the disk is full")


def test_without_a_daemon_the_port_is_opened_here(line: SerialLine, file: Path) -> None:
    assert main(["supervisor", "pair", "--config", str(file)]) == 0
    with held(file, 600, "update"):
        assert board_of(line).state == "HOLD"
    assert board_of(line).state == "HOLD", "nobody beats here, so an end would take the power in 15 s"
    line.say(board_of(line).pass_s(601))
    assert board_of(line).state == "BOOT"
    assert board_of(line).power == [True]


def test_a_board_that_holds_no_more_or_listens_to_nobody_fails_nothing(
    line: SerialLine, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done: list[str] = []
    main(["supervisor", "pair", "--config", str(file)])
    main(["supervisor", "hold", "600", "service", "--config", str(file)])
    main(["supervisor", "hold", "0", "service", "--config", str(file)])
    with held(file, 600, "update"):
        done.append("too soon")
    assert "not-now" in capsys.readouterr().err
    line.board = Board(key=b"\7" * 32)
    with held(file, 600, "update"):
        done.append("another box's")
    assert "not held: supervisor: silent" in capsys.readouterr().err
    assert done == ["too soon", "another box's"]


def test_a_box_without_a_board_asks_neither_port_nor_key(
    line: SerialLine, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line.unplug()
    monkeypatch.setattr(module, "order", lambda *_, **__: pytest.fail("asked"))
    monkeypatch.setattr(module, "listening", lambda *_: pytest.fail("asked"))
    with held(file, 600, "update"):
        pass
    assert capsys.readouterr().err == ""
    line.plug()


def test_a_daemon_that_hangs_costs_its_time_and_no_update(
    config: Config, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "WITHIN_S", 0.05)
    path = Path(config.sensor.state_dir) / "run" / CONTROL_SOCKET
    path.parent.mkdir(parents=True)
    done = False
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(path))
        listener.listen()
        with held(file, 600, "update"):
            done = True
    assert done
    assert "it goes on all the same" in capsys.readouterr().err


@pytest.mark.parametrize("text", [None, "[supervisor\n", "[supervisor]\nport = 7\n"], ids=["none", "broken", "wrong"])
def test_a_configuration_that_cannot_be_read_fails_no_update(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "other.toml"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with held(path, 600, "update"):
        done = True
    assert done


@pytest.mark.usefixtures("daemon")
def test_vedette_update_writes_in_a_hold(
    line: SerialLine, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = []

    def install(*_: object, **__: object) -> None:
        board_of(line).until("HOLD", WAIT_S)
        states.append(board_of(line).state)
        raise EnvironmentFault("written to nothing")

    monkeypatch.setattr(command, "install", install)
    monkeypatch.setattr(command, "this_box", lambda: None)
    assert main(["update", "--config", str(file), str(tmp_path / "x.bundle")]) == 4
    assert states == ["HOLD"]
    board_of(line).until("UP", WAIT_S)


def test_the_console_is_told_a_state_that_lasts_and_an_event_at_once() -> None:
    said: list[str] = []
    console = Console(said.append)
    for state, for_s in (("greeting", 1.0), ("silent", 2.0), ("up", 4.9), ("up", 5.0), ("up", 9.0), ("silent", 6.0)):
        console.look(SupervisorStatus(state, "words", in_state_s=for_s, last_reset="asked" if state == "up" else ""))
    console.event("tamper (detail 0, 1 s ago)")
    assert said == [
        "VEDETTE supervisor: up: words; last reset: asked",
        "VEDETTE supervisor: silent: words",
        "VEDETTE supervisor: tamper (detail 0, 1 s ago)",
    ]


@pytest.mark.parametrize(("age_s", "is_noted"), [(0, True), (FRESH_S, True), (FRESH_S + 1, False), (100_000, False)])
def test_a_press_of_long_ago_is_none(tmp_path: Path, age_s: int, is_noted: bool) -> None:
    note_press(tmp_path / "pressed", age_s)
    assert (tmp_path / "pressed").exists() is is_noted
    note_press(None, age_s)
    note_press(tmp_path / "absent" / "pressed", age_s)
