"""A manufactured TPM in software: a fresh swtpm with endorsement keys and their certificates by a development CA.

Rules of this file: the TPM is real (libtpms), only its maker is played. Each one has its own folder, seeds and ports on
loopback and ends with its `with`. `Tap` sits between a program and the TPM and counts the commands that pass.
"""

from __future__ import annotations

import platform
import shutil
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

# TPM_CC (TPM 2.0 Library part 2, section 6.5.2) of what tests ask about.
COMMANDS = {0x131: "CreatePrimary", 0x157: "Load", 0x15D: "Sign", 0x165: "FlushContext"}

_STARTUP_CLEAR = bytes.fromhex("80010000000c000001440000")
"""TPM2_Startup(CLEAR) (part 3, section 9.3)."""
# Where OpenSSL's provider for keys in a TPM is looked for: set-up's own, then the system's (too old in Debian 12).
PROVIDERS = (
    Path(sys.prefix) / "lib" / "tpm2-openssl" / "tpm2.so",
    *(
        [Path("/usr/lib") / f"{platform.machine()}-linux-gnu" / "ossl-modules" / "tpm2.so"]
        if platform.freedesktop_os_release().get("VERSION_CODENAME") != "bookworm"
        else []
    ),
)

TIMEOUT_S = 60.0
_TRIES = 20


class SwtpmError(Exception):
    """A tool of swtpm did not do its part; the text is what it said."""


@dataclass(frozen=True)
class DevelopmentCa:
    """The maker's CA; swtpm's tools make it at the first TPM."""

    folder: Path

    @property
    def root_pem(self) -> bytes:
        """The root that a collector would pin."""
        return (self.folder / "swtpm-localca-rootca-cert.pem").read_bytes()

    @property
    def issuer_pem(self) -> bytes:
        """The CA below it, which signs EK certificates."""
        return (self.folder / "issuercert.pem").read_bytes()


@dataclass(frozen=True)
class Swtpm:
    """A running TPM."""

    folder: Path
    port: int
    ca: DevelopmentCa

    @property
    def tcti(self) -> str:
        """How programs find it; one at a time."""
        return f"swtpm:host=127.0.0.1,port={self.port}"

    def power_cycle(self) -> None:
        """Power off and on again, as when the box loses its power: what was loaded is gone, what is kept stays."""
        _tool("swtpm_ioctl", "--tcp", f"127.0.0.1:{self.port + 1}", "-i")
        with socket.create_connection(("127.0.0.1", self.port), TIMEOUT_S) as line:
            line.sendall(_STARTUP_CLEAR)
            answer = line.recv(64)
        if answer[6:10] != bytes(4):
            raise SwtpmError(f"TPM2_Startup: {answer.hex()}")

    def cut(self) -> None:
        """Take the power away, in the middle of whatever it does."""
        with suppress(SwtpmError):
            _tool("swtpm_ioctl", "--tcp", f"127.0.0.1:{self.port + 1}", "-s")


def lacking() -> str:
    """What this machine has not for a sensor whose key is in such a TPM, in words; empty when nothing is missing."""
    tools = [name for name in ("swtpm", "swtpm_setup", "swtpm_localca", "swtpm_ioctl") if shutil.which(name) is None]
    missing = [f"{', '.join(tools)} (Debian packages swtpm, swtpm-tools)"] if tools else []
    if find_spec("tpm2_pytss") is None:
        missing.append("tpm2-pytss (built against libtss2-dev)")
    if not any(path.is_file() for path in PROVIDERS):
        missing.append("tpm2-openssl >= 1.3.0 (Debian 13)")
    return "; ".join(missing)


def manufacture(folder: Path, ca: DevelopmentCa, *, serial: str = "sn-0001") -> None:
    """Make a TPM's state: seeds, an RSA-2048 and a P-384 endorsement key with certificates, the SHA-256 bank.

    Raises:
        SwtpmError: swtpm_setup failed.
    """
    folder.mkdir(parents=True)
    ca.folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "localca.conf": {
            "statedir": ca.folder,
            "signingkey": ca.folder / "signkey.pem",
            "issuercert": ca.folder / "issuercert.pem",
            "certserial": ca.folder / "certserial",
        },
        "setup.conf": {
            "create_certs_tool": "/usr/bin/swtpm_localca",
            "create_certs_tool_config": folder / "localca.conf",
            "create_certs_tool_options": folder / "localca.options",
            "active_pcr_banks": "sha256",
        },
    }
    for name, values in settings.items():
        (folder / name).write_text("".join(f"{key} = {value}\n" for key, value in values.items()), encoding="utf-8")
    options = '--platform-manufacturer "Development"\n--platform-version 1\n--platform-model "Box"\n'
    (folder / "localca.options").write_text(options, encoding="utf-8")
    _tool(
        "swtpm_setup", "--tpm2", "--tpmstate", str(folder), "--config", str(folder / "setup.conf"), "--create-ek-cert",
        "--ecc", "--pcr-banks", "sha256", "--lock-nvram", "--vmid", serial, "--logfile", str(folder / "setup.log"),
    )  # fmt: skip


@contextmanager
def running(folder: Path, ca: DevelopmentCa) -> Iterator[Swtpm]:
    """Power a manufactured TPM on, and off at the end.

    Raises:
        SwtpmError: it does not start.
    """
    tpm = Swtpm(folder, _start(folder), ca)
    try:
        yield tpm
    finally:
        tpm.cut()


@contextmanager
def fresh(folder: Path, ca: DevelopmentCa | None = None, *, serial: str = "sn-0001") -> Iterator[Swtpm]:
    """A new TPM, running; with a CA of its own when none is given.

    Raises:
        SwtpmError: a tool failed.
    """
    ca = ca or DevelopmentCa(folder.with_name(folder.name + "-ca"))
    manufacture(folder, ca, serial=serial)
    with running(folder, ca) as tpm:
        yield tpm


def _start(folder: Path) -> int:
    """Start the daemon; the command port it listens on. Control is the port above (libtss2 takes that for granted)."""
    said = ""
    for _ in range(_TRIES):
        port = _two_free_ports()
        try:
            # With --daemon the tool returns when the ports are bound: nothing to wait for.
            _tool(
                "swtpm", "socket", "--tpm2", "--tpmstate", f"dir={folder}",
                "--server", f"type=tcp,port={port},bindaddr=127.0.0.1",
                "--ctrl", f"type=tcp,port={port + 1},bindaddr=127.0.0.1",
                "--flags", "not-need-init,startup-clear", "--daemon",
            )  # fmt: skip
        except SwtpmError as error:
            # Somebody may have taken a port meanwhile.
            said = str(error)
        else:
            return port
    raise SwtpmError(f"swtpm does not start: {said}")


def _two_free_ports() -> int:
    for _ in range(_TRIES):
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            with suppress(OSError, OverflowError):
                second.bind(("127.0.0.1", port + 1))
                return port
    raise SwtpmError("no two neighbouring ports are free")


def _tool(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, timeout=TIMEOUT_S, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        said = (done.stdout + done.stderr).decode(errors="replace").strip()
        raise SwtpmError(f"{argv[0]} ended with {done.returncode}: {said[-2000:]}")


class Tap:
    """Passes everything between a program and a TPM, and counts the commands by name.

    The command named by `hold` is passed on only after `let_go` is set; `held` says that it has come.
    """

    def __init__(self, tpm: Swtpm, *, hold: str = "") -> None:
        self._hold = hold
        self.held, self.let_go = threading.Event(), threading.Event()
        self.commands: Counter[str] = Counter()
        self._tpm = tpm
        self._listeners: list[socket.socket] = []
        self.port = 0

    @property
    def tcti(self) -> str:
        """How programs find the tap."""
        return f"swtpm:host=127.0.0.1,port={self.port}"

    def __enter__(self) -> Tap:
        for _ in range(_TRIES):
            self.port = _two_free_ports()
            try:
                self._listeners = [socket.create_server(("127.0.0.1", self.port + n)) for n in (0, 1)]
                break
            except OSError:
                continue
        for offset, listener in enumerate(self._listeners):
            threading.Thread(target=self._accept, args=(listener, offset), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for listener in self._listeners:
            # Wakes the thread that waits in accept, which close alone does not.
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def _accept(self, listener: socket.socket, offset: int) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", self._tpm.port + offset))
                for source, sink, counted in ((near, far, offset == 0), (far, near, False)):
                    threading.Thread(target=self._pass, args=(source, sink, counted), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        pending = b""
        with suppress(OSError):
            while data := source.recv(8192):
                if counted:
                    pending = self._count(pending + data)
                    if self._hold in self.commands:
                        self.held.set()
                        self.let_go.wait(TIMEOUT_S)
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        source.close()

    def _count(self, pending: bytes) -> bytes:
        """Take whole commands off the front: tag (2 bytes), size of all (4), code (4), and the rest."""
        while len(pending) >= 10:
            size = int.from_bytes(pending[2:6], "big")
            if len(pending) < size:
                break
            code = int.from_bytes(pending[6:10], "big")
            self.commands[COMMANDS.get(code, hex(code))] += 1
            pending = pending[max(size, 10) :]
        return pending
