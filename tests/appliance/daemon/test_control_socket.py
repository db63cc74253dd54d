"""What a person may have the daemon do with the supervisor: a closed list, for the owner alone, whoever calls."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.daemon.control import MOST_CALLERS, ControlServer, order
from appliance.errors import ApplianceError, EnvironmentFault
from appliance.mcu import SupervisorStatus
from appliance.mcu.errors import OrderRefusedError
from appliance.wire import mcu_words as words

IMAGE = b"VFW1" + struct.pack(">BBH", 6, words.BOARDS.index("rp2350"), 1) + bytes(1000)


class Supervisor:
    """Answers as the loop does: held for an hour at most, and a slot that takes every block."""

    def __init__(self) -> None:
        self.got = b""
        self.busy = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()
        self.refuses = False

    def ask(self, kind: int, *values: Any, **_: float) -> Any:
        if self.refuses:
            raise OrderRefusedError("supervisor: hold was refused: not-now; allowed: 0", advice="later")
        if kind == words.HOLD:
            return words.Done(words.HOLD, min(values[0], 3600))
        if kind == words.UPGRADE_BEGIN:
            self.got = b""
        if kind == words.UPGRADE_BLOCK:
            self.got += values[1]
        self.busy.set()
        self.go_on.wait(60)
        stage = "written" if kind == words.UPGRADE_END else "receiving"
        return words.UpgradeState(words.STAGES.index(stage), len(self.got))

    def status(self) -> SupervisorStatus:
        return SupervisorStatus("up", "", is_up=True, board="rp2350", features=("upgrade over the link",))


@pytest.fixture
def supervisor() -> Supervisor:
    return Supervisor()


@pytest.fixture
def path(tmp_path: Path, supervisor: Supervisor) -> Iterator[Path]:
    server = ControlServer(tmp_path / "run" / "supervisor.sock", supervisor)  # type: ignore[arg-type]
    server.start()
    yield tmp_path / "run" / "supervisor.sock"
    supervisor.go_on.set()
    server.close()


def test_a_hold_is_granted_and_the_socket_is_its_owners(path: Path) -> None:
    assert order(path, {"do": "hold", "seconds": 5000, "reason": "update"}) == {"granted_s": 3600}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_refusal_arrives_as_it_was(path: Path, supervisor: Supervisor) -> None:
    supervisor.refuses = True
    with pytest.raises(ApplianceError, match="not-now") as told:
        order(path, {"do": "hold", "seconds": 5, "reason": "update"})
    assert (told.value.exit_code, told.value.advice) == (3, "later")


@pytest.mark.parametrize(
    ("request_", "said", "exit_code"),
    [
        ({"do": "hold", "seconds": 5, "reason": "fun"}, "'fun' came", 2),
        ({"do": "hold", "seconds": -1, "reason": "update"}, "-1 seconds", 2),
        ({"do": "hold", "seconds": "5", "reason": "update"}, "does not know", 2),
        ({"do": "cycle"}, "does not know", 2),
        ({"do": "element", "call": "sign", "data": "zz"}, "no hexadecimal", 2),
        ({"do": "element", "call": "sign", "data": "00"}, "'sign' with 1 octets", 4),
        ({"do": "element", "call": "lock", "data": ""}, "'lock' with 0 octets", 4),
        ({"do": "element", "call": "sign"}, "does not know", 2),
        ({"do": "update", "name": "a-1.0.0.vfw", "version": ""}, "VFW1", 2),
        ({}, "does not know", 2),
    ],
)
def test_what_is_not_on_the_list_is_refused(path: Path, request_: dict[str, Any], said: str, exit_code: int) -> None:
    with pytest.raises(ApplianceError, match=said) as told:
        order(path, request_)
    assert told.value.exit_code == exit_code


def send_update(path: Path, file: Path, progress: list[tuple[int, int]]) -> dict[str, Any] | None:
    request = {"do": "update", "name": "supervisor-1.2.3.vfw", "version": ""}
    with file.open("rb") as opened:
        return order(path, request, opened.fileno(), lambda at, of: progress.append((at, of)))


def test_an_open_file_goes_to_the_supervisor_with_progress(path: Path, supervisor: Supervisor, tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(IMAGE)
    progress: list[tuple[int, int]] = []
    assert send_update(path, tmp_path / "image", progress) == {"version": "1.2.3"}
    assert supervisor.got == IMAGE
    assert progress[-1] == (len(IMAGE), len(IMAGE))


def test_a_second_update_at_once_is_refused_and_a_hold_is_not(
    path: Path, supervisor: Supervisor, tmp_path: Path
) -> None:
    (tmp_path / "image").write_bytes(IMAGE)
    supervisor.go_on.clear()
    first = threading.Thread(target=send_update, args=(path, tmp_path / "image", []))
    first.start()
    assert supervisor.busy.wait(60)
    with pytest.raises(ApplianceError, match="under way"):
        send_update(path, tmp_path / "image", [])
    assert order(path, {"do": "hold", "seconds": 60, "reason": "update"}) == {"granted_s": 60}
    supervisor.go_on.set()
    first.join(60)
    assert supervisor.got == IMAGE


def test_no_daemon_is_no_error(tmp_path: Path) -> None:
    assert order(tmp_path / "none.sock", {"do": "hold"}) is None


def test_a_pipe_in_place_of_a_file_is_refused(path: Path) -> None:
    ours, theirs = os.pipe()
    with pytest.raises(ApplianceError, match="can be read"):
        order(path, {"do": "update", "name": "a-1.0.0.vfw", "version": ""}, ours)
    os.close(ours)
    os.close(theirs)


def rude(path: Path, data: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(60)
        caller.connect(str(path))
        caller.sendall(data)
        with contextlib.suppress(OSError):
            caller.shutdown(socket.SHUT_WR)
        said = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := caller.recv(4096):
                said += piece
        return said


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.binary(max_size=200) | st.just(b"[" * 3000) | st.just(b"x" * 9000 + b"\n"))
def test_whatever_a_caller_says_the_next_one_is_served(path: Path, data: bytes) -> None:
    said = rude(path, data)
    assert not said or "error" in json.loads(said)
    assert order(path, {"do": "hold", "seconds": 60, "reason": "update"}) == {"granted_s": 60}


def test_callers_who_say_nothing_cost_a_place_each_and_no_more(path: Path) -> None:
    silent = [socket.socket(socket.AF_UNIX) for _ in range(MOST_CALLERS)]
    for caller in silent:
        caller.connect(str(path))
    with pytest.raises(EnvironmentFault):
        order(path, {"do": "hold", "seconds": 60, "reason": "update"})
    for caller in silent:
        caller.close()


def test_descriptors_do_not_pile_up(path: Path, tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(b"no firmware")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        with pytest.raises(ApplianceError):
            send_update(path, tmp_path / "image", [])
    assert len(os.listdir("/proc/self/fd")) <= before + MOST_CALLERS
