"""The drill of the supervisor's board: the firmware's own code at a serial adapter, the machine's power as its relay.

Rules of this file: nothing of the box is imported, the firmware is. Its time is the wall's, but while it waits for a
start: an emulated box starts many times slower than a real one, so there it passes slower.
"""

from __future__ import annotations

import contextlib
import importlib
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from image import swtpm
from image.bench import HEALTHY, LOADER, Bench, Box, blank_disk, internal_disk, to_enrolled, to_healthy
from image.cache import TREE
from image.errors import DrillError
from image.fat import make_fat
from image.faults import show
from image.frames import Cable, management_arguments
from image.machine import Machine
from image.provider import Provider

TURN_S = 0.05
SLOWER = 10
"""Of the board's time while it waits for the first beat of a start."""
POLL_S = 0.5
HELD_S = 4
"""Longer than three seconds, shorter than ten."""
STEADY_MS = 60_000
"""firmware/supervisor/policy.py"""


class Board:
    """The firmware in a thread of its own, with the relay for who asks. It lives as long as its machine's folder."""

    def __init__(self, path: Path) -> None:
        for folder in ("firmware", "firmware/lib", "tests/firmware/device"):
            sys.path.append(str(TREE / folder))
        bare: Any = importlib.import_module("bare_board")
        bench: Any = importlib.import_module("bench_board")
        self._path = path
        self._board = bare.Board()
        self._bench = bench.Bench(self._board, is_paired=False)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._failure: Exception | None = None
        self.is_dark = False
        """Without power of its own, as a board is that hangs on the adapter: its time stands still."""
        self._thread = threading.Thread(target=self._run, name="board", daemon=True)
        self._thread.start()

    @property
    def state(self) -> str:
        """The policy's."""
        self._check()
        with self._lock:
            return str(self._bench.state())

    @property
    def is_paired(self) -> bool:
        """Whether it has a key."""
        with self._lock:
            return bool(self._bench.supervisor.pairing.is_paired)

    @property
    def gives_power(self) -> bool:
        """The relay."""
        self._check()
        with self._lock:
            return bool(self._board.has_power)

    @property
    def is_steady(self) -> bool:
        """It has heard a minute of beats, and holds no failure against the box."""
        with self._lock:
            policy = self._bench.supervisor.policy
            return bool(self._bench.state() == "UP" and policy.steady_ms >= STEADY_MS and policy.boots == 0)

    def press(self, seconds: float) -> None:
        """A hand at its button."""
        for is_down in (True, False):
            with self._lock:
                self._board.is_down = is_down
            time.sleep(seconds)

    def end(self) -> None:
        """No board any more."""
        self._stop.set()
        self._thread.join()

    def _check(self) -> None:
        if self._failure is not None:
            raise DrillError(f"the firmware ended: {self._failure!r}")

    def _run(self) -> None:
        line: socket.socket | None = None
        before_s = time.monotonic()
        try:
            while not self._stop.is_set():
                time.sleep(TURN_S)
                if self.is_dark:
                    before_s = time.monotonic()
                    continue
                line = line or self._connected()
                heard = _heard(line)
                if heard is None and line is not None:
                    line.close()
                    line = None
                now_s = time.monotonic()
                said = self._turn(heard or b"", now_s - before_s)
                before_s = now_s
                if line is not None and said:
                    with contextlib.suppress(OSError):
                        line.sendall(said)
        except Exception as error:
            self._failure = error

    def _turn(self, heard: bytes, elapsed_s: float) -> bytes:
        with self._lock:
            slower = SLOWER if self._bench.state() == "BOOT" else 1
            self._board.inbox.extend(heard)
            self._board.now_ms += int(elapsed_s * 1000 / slower)
            self._bench.supervisor.turn()
            said, self._board.outbox = bytes(self._board.outbox), bytearray()
            return said

    def _connected(self) -> socket.socket | None:
        line = socket.socket(socket.AF_UNIX)
        try:
            line.connect(str(self._path))
        except OSError:
            line.close()
            return None
        line.setblocking(False)
        return line


def _heard(line: socket.socket | None) -> bytes | None:
    """What has come; None when the line is gone."""
    try:
        return (line.recv(4096) or None) if line is not None else None
    except BlockingIOError:
        return b""
    except OSError:
        return None


def supervisor(bench: Bench) -> None:
    """A board is paired by the box, watches over it before and after it enrolls, and cuts the power of a frozen one.

    Raises:
        DrillError: it did not come to that.
    """
    machine = bench.machine("supervisor")
    machine.drill = machine.board = True
    machine.disks = (internal_disk(bench.drill_image, machine.folder / "disk.raw"),)
    provider, cable = Provider(machine.folder / "provider", swtpm.roots(machine.maker)), Cable()
    machine.network = (*management_arguments(), *cable.arguments())
    provider.start()
    board = Board(machine.board_socket)
    try:
        stick = machine.folder / "stick.fat"
        make_fat(bench.tools, stick, [provider.write_setup_file(machine.folder / "stick-files")])
        machine.start()
        waits_for_its_stick(bench, machine, board, stick)
        to_enrolled(bench, machine, provider)
        box = Box(bench, machine, provider, cable)
        box.told("that the board is up", "supervisor", "ok up")
        until(bench, machine, "a steady minute by the sensor's beats", board, lambda: board.is_steady)
        restarts(bench, box, board)
        freezes(bench, box, board)
        box.told("why the board took the power", "supervisor", "beats-stopped")
        box.traffic()
        pulled(bench, box, board)
    finally:
        machine.stop()
        board.end()
        provider.stop()
        cable.close()


def supervisor_install(bench: Bench) -> None:
    """A stick without settings asks; the board's button answers; the box is guarded while it is written and after.

    Raises:
        DrillError: it did not come to that.
    """
    machine = bench.machine("supervisor-install", setup_mode=True)
    machine.board = True
    machine.disks = (blank_disk(machine.folder / "disk.raw"),)
    machine.stick = machine.folder / "stick.raw"
    shutil.copyfile(bench.stick, machine.stick)
    board = Board(machine.board_socket)
    try:
        machine.start()
        bench.stage(machine, "firmware starts the stick", LOADER)
        bench.stage(machine, "paired by the installer", r"VEDETTE supervisor: paired with this box by itself")
        bench.stage(machine, "it asks", r"VEDETTE install: everything on .* hold the supervisor's button")
        until(bench, machine, "a steady minute in the installer", board, lambda: board.is_steady)
        board.press(HELD_S)
        bench.stage(machine, "the button is heard", r"VEDETTE install: the supervisor's button was held")
        bench.stage(machine, "installed", r"VEDETTE install: done")
        until(bench, machine, "the board knows of the restart", board, lambda: board.state == "BOOT")
        machine.forget()
        to_healthy(bench, machine)
        bench.stage(
            machine, "the same key on the disk", r"VEDETTE supervisor: up: .*asked", refused="supervisor: paired"
        )
        until(bench, machine, "a steady minute on the disk", board, lambda: board.is_steady)
    finally:
        machine.stop()
        board.end()


def waits_for_its_stick(bench: Bench, machine: Machine, board: Board, stick: Path) -> None:
    """A first boot without a stick, then with one: it enrolls and the sensor takes the port over.

    Raises:
        DrillError: it did not come to that, or the board took the power.
    """
    bench.stage(machine, "firmware starts the boot loader", LOADER)
    bench.stage(machine, "paired by itself", r"VEDETTE supervisor: paired with this box by itself")
    bench.stage(machine, "healthy", HEALTHY)
    until(bench, machine, "a steady minute without a sensor", board, lambda: board.is_steady)
    machine.plug_stick(stick)
    bench.reached(machine, "stick plugged in")


def restarts(bench: Bench, box: Box, board: Board) -> None:
    """An orderly restart: the board knows of it and takes no power.

    Raises:
        DrillError: it did not come to that.
    """
    machine = box.machine
    machine.forget()
    machine.order("systemctl", "reboot")
    until(bench, machine, "the board knows of an orderly restart", board, lambda: board.state == "BOOT")
    box.up()
    bench.stage(machine, "the board's word at the console", r"VEDETTE supervisor: up: .*asked")
    until(bench, machine, "a steady minute after it", board, lambda: board.is_steady)


def pulled(bench: Bench, box: Box, board: Board) -> None:
    """The board is pulled out and put in again: told both times, and the sensor goes on.

    Raises:
        DrillError: it did not come to that.
    """
    machine = box.machine
    board.is_dark = True
    machine.pull_board()
    box.told("that the board is gone", "supervisor", "warning absent")
    machine.plug_board()
    board.is_dark = False
    box.told("that it is there again", "supervisor", "ok up")
    until(bench, machine, "the board is up again", board, lambda: board.state == "UP")
    if (restarts_of := show(box, "NRestarts")) != "0":
        raise DrillError(f"the sensor was started again {restarts_of} times")


def freezes(bench: Bench, box: Box, board: Board) -> None:
    """The sensor is stopped in its tracks; the board's relay is carried out, and the box is there again.

    Raises:
        DrillError: it did not come to that.
    """
    machine = box.machine
    pid = show(box, "MainPID")
    machine.ask("kill", "-STOP", pid)
    bench.reached(machine, f"sensor (process {pid}) stopped in its tracks")
    until(bench, machine, "the board cuts the power", board, lambda: not board.gives_power, may_cut=True)
    machine.stop()
    cut_s = time.monotonic()
    until(bench, machine, "the board gives it back", board, lambda: board.gives_power, may_cut=True)
    bench.tell(f"           after {time.monotonic() - cut_s:.1f} s")
    machine.start()
    box.up()


def until(
    bench: Bench, machine: Machine, what: str, board: Board, holds: Callable[[], bool], *, may_cut: bool = False
) -> None:
    """Look until it holds.

    Raises:
        DrillError: it did not come to that, or the board took the power when it should not.
    """
    limit_s = time.monotonic() + bench.timeout_s
    while not holds():
        if time.monotonic() > limit_s:
            raise DrillError(f"after {bench.timeout_s:.0f} s: not {what}; the board: {board.state}\n{machine.said()}")
        if not may_cut and not board.gives_power:
            raise DrillError(f"the board took the power of a box that is well\n{machine.said()}")
        machine.read_on()
        time.sleep(POLL_S)
    bench.reached(machine, what)
