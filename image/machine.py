"""One virtual machine: firmware with Secure Boot, TPM, watchdog, two network cards, disks, and its console as lines.

Rules of this file: it starts programs and reads what the console says; what a line means is the drills' business. No
line is waited for longer than the caller allows. Every machine has a folder of its own, in which its disks, TPM and
firmware variables stay between boots.
"""

from __future__ import annotations

import os
import re
import resource
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from image import ear, qmp, seat
from image.errors import DrillError
from image.frames import management_arguments
from image.keys import OWNER_GUID, Keys
from image.swtpm import manufacture
from image.tools import Tools

FIRMWARE = Path("usr/share/OVMF")
CODE = "OVMF_CODE_4M.secboot.fd"
LINGER_S = 10.0
# CSI and OSC sequences (ECMA-48), two-letter escapes, and single controls.
_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]|[\x00-\x08\x0b-\x1f]")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the console and when it came, in seconds since power-on."""

    at_s: float
    text: str


@dataclass(slots=True)
class Machine:
    """A machine and its folder; `start` powers it on, `stop` cuts the power."""

    tools: Tools
    folder: Path
    disks: tuple[Path, ...] = ()
    stick: Path | None = None
    setup_mode: bool = False
    """Firmware without any keys, as boards come that were reset; else it knows ours and Secure Boot is on."""

    memory_mib: int = 1024
    processors: int = 2
    network: Sequence[str] = ()
    """More arguments for QEMU: where the two cards are plugged in; empty: nowhere."""
    drill: bool = False
    """It has the port by which a drill image takes commands."""
    board: bool = False
    """A USB serial adapter, whose other end is a socket in the folder: where a supervisor's board goes."""
    seat: bool = False
    """Screen and keyboard; the keyboard is on the bus of the stick."""
    on_watchdog: str = "reset"
    lines: list[Line] = field(default_factory=list)
    _process: subprocess.Popen[bytes] | None = None
    _tpm: subprocess.Popen[bytes] | None = None
    _rest: bytes = b""
    _start_s: float = 0.0
    _forgotten: int = 0

    def prepare(self, keys: Keys) -> None:
        """A new machine: a new TPM, and firmware that knows our keys or none.

        Raises:
            StepError: a program failed.
        """
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "tpm").mkdir(parents=True)
        self.new_tpm()
        variables = FIRMWARE / "OVMF_VARS_4M.fd"
        if self.setup_mode:
            shutil.copy(self.tools.cache.tools / variables, self.folder / "firmware.fd")
            return
        self.tools.run(
            *("virt-fw-vars", "--input", f"/{variables}", "--output", self.folder / "firmware.fd", "--secure-boot"),
            *("--set-pk", OWNER_GUID, keys.certificate("PK"), "--add-kek", OWNER_GUID, keys.certificate("KEK")),
            *("--add-db", OWNER_GUID, keys.certificate("db")),
        )

    def new_tpm(self) -> None:
        """Another TPM in the place of the one that was there.

        Raises:
            StepError: swtpm_setup failed.
        """
        manufacture(self.tools, self.folder / "tpm", self.maker)

    @property
    def maker(self) -> Path:
        """The folder of those who make the TPMs of all drills."""
        return self.folder.parent / "tpm-maker"

    @property
    def board_socket(self) -> Path:
        """The other end of the serial adapter's line."""
        return self.folder / "board.sock"

    def start(self) -> None:
        """Power on."""
        self.lines.clear()
        self._forgotten = 0
        self._rest = b""
        self._start_tpm()
        argv = self.tools.command(["qemu-system-x86_64", *self._arguments()], folder=self.folder)
        self._start_s = time.monotonic()
        self._process = subprocess.Popen(
            argv,
            env=self.tools.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def wait_for(self, *patterns: str, timeout_s: float, refused: str = r"(?!)") -> re.Match[str]:
        """The first line that matches one of the regular expressions, since power-on or the last `forget`.

        Raises:
            DrillError: the machine ended, said what was `refused`, or said nothing of the kind in time.
        """
        wanted = [re.compile(pattern) for pattern in patterns]
        unwanted = re.compile(refused)
        until_s = time.monotonic() + timeout_s
        position = self._forgotten
        while True:
            while position < len(self.lines):
                text = self.lines[position].text
                position += 1
                if unwanted.search(text):
                    self._linger()
                    raise DrillError(f"the console said: {text}\n{self.said()}")
                for pattern in wanted:
                    if match := pattern.search(text):
                        return match
            if self.ended:
                raise DrillError(f"the machine ended before it said {' or '.join(patterns)}\n{self.said()}")
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                raise DrillError(f"nothing like {' or '.join(patterns)} in {timeout_s:.0f} s\n{self.said()}")
            self._read(left_s)

    def wait_end(self, *, timeout_s: float) -> None:
        """Until the machine has switched itself off.

        Raises:
            DrillError: it did not in time.
        """
        until_s = time.monotonic() + timeout_s
        while not self.ended:
            if time.monotonic() > until_s:
                raise DrillError(f"the machine was not off after {timeout_s:.0f} s\n{self.said()}")
            self._read(1.0)

    def ask(self, *argv: str, code: int | None = 0, timeout_s: float = 120) -> str:
        """Run a program in a drill image's box; returns what it said.

        Raises:
            DrillError: it ended with another code than `code` (None: any), or the box did not answer.
        """
        return ear.ask(self.folder / "drill.sock", *argv, code=code, timeout_s=timeout_s)

    def order(self, *argv: str) -> None:
        """Run a program in a drill image's box that does not live to answer.

        Raises:
            DrillError: the box could not be asked.
        """
        ear.order(self.folder / "drill.sock", *argv)

    def press(self, text: str) -> None:
        """Type a text at its keyboard.

        Raises:
            DrillError: it has none.
        """
        seat.press(self.folder / "qmp.sock", text)

    def picture(self, name: str) -> int:
        """Keep what its screen shows as NAME.ppm in its folder; returns how many pixels are lit.

        Raises:
            DrillError: it has none.
        """
        return seat.picture(self.folder / "qmp.sock", self.folder / f"{name}.ppm")

    def plug_stick(self, stick: Path) -> None:
        """Put a stick in while it runs; firmware will not prefer it.

        Raises:
            DrillError: the machine does not answer.
        """
        control = self.folder / "qmp.sock"
        file = {"driver": "file", "filename": str(stick)}
        qmp.ask(control, "blockdev-add", **{"node-name": "stick-drive", "driver": "raw", "file": file})
        qmp.ask(control, "device_add", driver="usb-storage", id="stick", bus="usb.0", drive="stick-drive")

    def pull_stick(self) -> None:
        """Pull the stick out while it runs.

        Raises:
            DrillError: there is none, or the machine does not answer.
        """
        qmp.ask(self.folder / "qmp.sock", "device_del", id="stick")

    def pull_board(self) -> None:
        """Pull the serial adapter out while it runs.

        Raises:
            DrillError: there is none, or the machine does not answer.
        """
        qmp.ask(self.folder / "qmp.sock", "device_del", id="adapter")

    def plug_board(self) -> None:
        """Put the adapter in again.

        Raises:
            DrillError: the machine does not answer.
        """
        where = {"id": "adapter", "chardev": "board", "bus": "usb.0", "always-plugged": True}
        qmp.ask(self.folder / "qmp.sock", "device_add", driver="usb-serial", **where)

    def written_bytes(self) -> int:
        """What the box has written to its first disk since power-on.

        Raises:
            DrillError: the machine does not answer.
        """
        return qmp.written_bytes(self.folder / "qmp.sock", "disk0")

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """The machine does nothing, and its disks are as a power cut at this moment would leave them.

        Raises:
            DrillError: the machine does not answer.
        """
        qmp.ask(self.folder / "qmp.sock", "stop")
        try:
            yield
        finally:
            qmp.ask(self.folder / "qmp.sock", "cont")

    def forget(self) -> None:
        """What was said until now is of an earlier boot."""
        self._forgotten = len(self.lines)

    def read_on(self) -> None:
        """Take in what the console has said meanwhile, without waiting."""
        while self._read(0.0):
            continue

    def _linger(self) -> None:
        """What a machine says right after a fault is the reason for it."""
        until_s = time.monotonic() + LINGER_S
        while (left_s := until_s - time.monotonic()) > 0 and not self.ended:
            self._read(left_s)

    @property
    def ended(self) -> bool:
        """Whether the machine is off."""
        return self._process is None or self._process.poll() is not None

    def elapsed_s(self) -> float:
        """Since power-on."""
        return time.monotonic() - self._start_s

    def said(self, lines: int = 40) -> str:
        """The end of the console."""
        return "\n".join(f"{line.at_s:8.2f} {line.text}" for line in self.lines[-lines:])

    def stop(self) -> None:
        """Cut the power."""
        for process in (self._process, self._tpm):
            if process is not None and process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            if process is not None:
                process.wait()
        self._process = self._tpm = None
        log = "".join(f"{line.at_s:8.2f} {line.text}\n" for line in self.lines)
        (self.folder / "console.log").write_text(log, encoding="utf-8")

    def _read(self, timeout_s: float) -> list[Line]:
        """Lines that came; waits for some, at most a second."""
        if self._process is None or self._process.stdout is None:
            return []
        descriptor = self._process.stdout.fileno()
        if not select.select([descriptor], [], [], min(timeout_s, 1.0))[0]:
            return []
        data = os.read(descriptor, 65536)
        if not data:
            self._process.wait()
            return []
        *whole, self._rest = (self._rest + data).split(b"\n")
        now_s = self.elapsed_s()
        new = [Line(now_s, clean(line)) for line in whole]
        self.lines += new
        return new

    def _start_tpm(self) -> None:
        socket = self.folder / "tpm.sock"
        socket.unlink(missing_ok=True)
        argv = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.folder / 'tpm'}", "--flags", "startup-clear"]
        argv += ["--ctrl", f"type=unixio,path={socket}", "--terminate"]
        self._tpm = subprocess.Popen(
            self.tools.command(argv, folder=self.folder),
            env=self.tools.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        until_s = time.monotonic() + 30
        while not socket.exists():
            if time.monotonic() > until_s or self._tpm.poll() is not None:
                raise DrillError("swtpm did not open its socket within 30 s")
            select.select([], [], [], 0.05)

    def _arguments(self) -> list[str]:
        """QEMU's arguments. Boot order: the stick before the disks; a card's boot ROM would cost a minute."""
        argv = ["-nodefaults", "-no-user-config", "-display", "none", "-monitor", "none", "-serial", "stdio"]
        argv += [
            "-machine",
            "q35,smm=on",
            "-cpu",
            "qemu64,+rdrand,+ssse3,+sse4.1,+sse4.2,+popcnt",
            "-accel",
            "tcg,thread=multi",
        ]
        argv += ["-smp", str(self.processors), "-m", str(self.memory_mib), "-device", "virtio-rng-pci"]
        argv += ["-global", "driver=cfi.pflash01,property=secure,value=on"]
        argv += ["-drive", f"if=pflash,format=raw,unit=0,readonly=on,file=/{FIRMWARE / CODE}"]
        argv += ["-drive", f"if=pflash,format=raw,unit=1,file={self.folder / 'firmware.fd'}"]
        argv += [
            "-chardev",
            f"socket,id=tpm,path={self.folder / 'tpm.sock'}",
            "-tpmdev",
            "emulator,id=tpm0,chardev=tpm",
        ]
        argv += ["-device", "tpm-crb,tpmdev=tpm0", "-device", "i6300esb", "-action", f"watchdog={self.on_watchdog}"]
        argv += ["-uuid", "4c6b2d3e-8a5f-4f0b-b1f4-0d9e6c5a7b81"]
        for number, disk in enumerate(self.disks):
            argv += ["-drive", f"if=none,id=disk{number},format=raw,file={disk},cache=unsafe,discard=unmap"]
            argv += ["-device", f"nvme,drive=disk{number},serial=DISK{number},bootindex={number + 1}"]
        argv += ["-device", "qemu-xhci,id=usb"]
        if self.board:
            argv += ["-chardev", f"socket,id=board,path={self.board_socket},server=on,wait=off"]
            argv += ["-device", "usb-serial,id=adapter,chardev=board,bus=usb.0,always-plugged=on"]
        if self.stick is not None:
            argv += [
                "-drive",
                f"if=none,id=stick-drive,format=raw,file={self.stick},cache=unsafe",
            ]
            argv += ["-device", "usb-storage,id=stick,bus=usb.0,drive=stick-drive,bootindex=0,removable=on"]
        if self.drill:
            argv += ear.arguments(self.folder / "drill.sock")
        if self.seat:
            argv += seat.arguments()
        argv += qmp.arguments(self.folder / "qmp.sock")
        argv += list(self.network) or list(unplugged())
        return argv


def unplugged() -> tuple[str, ...]:
    """A capture card whose cable leads nowhere, and a management card that finds no collector."""
    return (
        *management_arguments(),
        *("-netdev", "hubport,id=capture,hubid=0"),
        *("-device", "virtio-net-pci,netdev=capture,mac=52:54:00:00:00:02,romfile="),
    )


def clean(line: bytes) -> str:
    """A console line without what moves the cursor."""
    return _CONTROL.sub("", line.decode("utf-8", errors="replace")).rstrip()


def processor_s() -> float:
    """Processor time of all children that have ended, which a loaded machine does not stretch."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
