"""The status socket answers its owner and nobody else, and nothing a caller does can stop it."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import pytest

from appliance.daemon.status import StatusServer, ask_status
from appliance.errors import EnvironmentFault


def test_it_answers_every_caller_with_the_status_of_that_moment(tmp_path: Path) -> None:
    path = tmp_path / "run" / "status.sock"
    turns = iter(range(10))
    server = StatusServer(path, lambda: {"turn": next(turns)})
    server.start()
    try:
        assert [ask_status(path)["turn"] for _ in range(3)] == [0, 1, 2]
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        server.close()
    assert not path.exists()


def test_a_caller_that_hangs_up_does_not_stop_it(tmp_path: Path) -> None:
    path = tmp_path / "status.sock"
    server = StatusServer(path, lambda: {"text": "x" * 500_000})
    server.start()
    try:
        with socket.socket(socket.AF_UNIX) as rude:
            rude.connect(str(path))
        assert len(ask_status(path)["text"]) == 500_000
    finally:
        server.close()


def test_a_socket_left_by_a_dead_daemon_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "status.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    server = StatusServer(path, dict)
    server.start()
    assert ask_status(path) == {}
    server.close()


def test_nobody_there_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault) as fault:
        ask_status(tmp_path / "status.sock")
    assert "vedette run" in fault.value.advice


def test_a_path_too_long_for_a_socket_is_refused_with_its_length(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="107 were allowed"):
        StatusServer(tmp_path / ("x" * 120), dict)


def test_a_fault_in_the_status_is_told_and_the_next_caller_is_answered(tmp_path: Path) -> None:
    answers: list[dict[str, int]] = [{"turn": 1}]
    server = StatusServer(tmp_path / "status.sock", lambda: answers.pop())
    server.start()
    assert ask_status(tmp_path / "status.sock") == {"turn": 1}
    assert "IndexError" in ask_status(tmp_path / "status.sock")["error"]
    answers.append({"turn": 2})
    assert ask_status(tmp_path / "status.sock") == {"turn": 2}
    server.close()
