"""systemd hears that we live only while every part does."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.health import Liveness, Notifier, NotifyError, Part, Sign, Watchdog
from tests.fakes.clock import FakeClock


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """systemd's end of the socket, and its address as NOTIFY_SOCKET gives it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        if request.param == "path":
            address = str(tmp_path / "notify")
            sock.bind(address)
        else:
            address = f"@vedette-test-{os.getpid()}-{os.urandom(4).hex()}"
            sock.bind("\0" + address[1:])
        sock.settimeout(10)
        yield sock, address


def test_ready_and_watchdog_reach_the_service_manager(manager: tuple[socket.socket, str]) -> None:
    sock, address = manager
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "30000000"})
    assert notifier.ready("watching eth1")
    assert sock.recv(1000) == b"READY=1\nSTATUS=watching eth1"
    watchdog = Watchdog(notifier, Liveness(FakeClock()))
    assert watchdog.interval_s == 10
    assert watchdog.tick()
    assert sock.recv(1000) == b"WATCHDOG=1"
    assert notifier.stopping()
    assert sock.recv(1000) == b"STOPPING=1"


def test_a_part_that_hangs_ends_the_feeding_and_is_named(manager: tuple[socket.socket, str]) -> None:
    sock, address = manager
    clock, told = FakeClock(), []
    liveness = Liveness(clock)
    uplink, capture = liveness.register("uplink", within_s=60), liveness.register("capture", within_s=5)
    watchdog = Watchdog(Notifier(address, 10.0), liveness, on_stale=told.append)
    clock.advance(4)
    capture()
    clock.advance(4)
    assert watchdog.tick()
    assert sock.recv(1000) == b"WATCHDOG=1"
    clock.advance(2)
    assert not watchdog.tick()
    assert sock.recv(1000) == b"STATUS=stopped: capture"
    assert told == [["capture"]]
    capture()
    uplink()
    assert watchdog.tick()


def test_a_part_that_has_ended_as_it_should_is_not_missed() -> None:
    clock = FakeClock()
    liveness = Liveness(clock)
    beat = liveness.register("files", within_s=1)
    liveness.retire("files")
    beat()
    clock.advance(100)
    assert liveness.stale() == []


def test_without_a_service_manager_nothing_is_sent_and_nothing_fails(tmp_path: Path) -> None:
    assert not Notifier.from_environment({}).ready("up")
    assert not Notifier(str(tmp_path / "gone")).ready("up")
    assert Notifier.from_environment({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}, pid=2).watchdog_s is None
    assert Notifier.from_environment({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "2"}, pid=2).watchdog_s == 1.0


@pytest.mark.parametrize(
    "environment",
    [
        {"NOTIFY_SOCKET": "relative"},
        {"NOTIFY_SOCKET": "/"},
        {"NOTIFY_SOCKET": "@"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "-5"},
        {"WATCHDOG_USEC": "٣"},
    ],
)
def test_an_environment_of_another_form_is_refused(environment: dict[str, str]) -> None:
    with pytest.raises(NotifyError, match="was allowed"):
        Notifier.from_environment(environment)


def test_the_thread_feeds_until_it_is_told_to_end(manager: tuple[socket.socket, str]) -> None:
    sock, address = manager
    stop = threading.Event()
    thread = threading.Thread(target=Watchdog(Notifier(address, 0.03), Liveness(FakeClock())).run, args=(stop,))
    thread.start()
    assert sock.recv(1000) == b"WATCHDOG=1"
    stop.set()
    thread.join(10)
    assert not thread.is_alive()


def test_a_sign_of_death_ends_the_feeding_and_is_named(manager: tuple[socket.socket, str]) -> None:
    sock, address = manager
    signs, told = [Sign(Part.SPOOL, True, "")], []
    watchdog = Watchdog(Notifier(address, 10.0), Liveness(FakeClock()), signs=lambda: signs, on_stale=told.append)
    assert watchdog.tick()
    assert sock.recv(1000) == b"WATCHDOG=1"
    signs.append(Sign(Part.CAPTURE, False, "stands still"))
    assert not watchdog.tick()
    assert sock.recv(1000) == b"STATUS=stopped: capture (stands still)"
    assert told == [["capture (stands still)"]]
