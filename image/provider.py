"""The provider's side of a drill: a real collector of this tree on the host's loopback, asked by its own command line.

Rules of this file: processes and their JSON only; nothing of the collector is imported. The machine under test reaches
it at 10.0.2.2, which is the host's loopback to it.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from image.cache import TREE
from image.errors import DrillError

T = TypeVar("T")

SEEN_FROM_THE_BOX = "10.0.2.2"
PATIENCE_S = 60
# Each question is a process, and an emulated machine needs the processors more.
POLL_S = 4.0


class Provider:
    """A collector in a folder of its own."""

    def __init__(self, folder: Path, tpm_roots: bytes) -> None:
        """`tpm_roots` are the certificates (PEM) of those who make the drill's TPMs."""
        self.folder = folder
        self.store = folder / "collector"
        self._tpm_roots = tpm_roots
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Make the collector and start it.

        Raises:
            DrillError: it did not come up.
        """
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self._port = _free_port()
        (self.folder / "port").write_text(f"{self._port}\n", encoding="ascii")
        self.ask("init", str(self.store), "--name", SEEN_FROM_THE_BOX, "--port", str(self._port), "--json")
        # The drill's maker stands for one whose TPMs are chips.
        roots = self.store / "pki" / "tpm-roots"
        roots.mkdir(exist_ok=True)
        (roots / "swtpm.pem").write_bytes(self._tpm_roots)
        self._serve()

    def resume(self) -> None:
        """Start the collector that was made before, at the address that its sensors know.

        Raises:
            DrillError: it did not come up.
        """
        self._port = int((self.folder / "port").read_text(encoding="ascii"))
        self._serve()

    def _serve(self) -> None:
        page = f"127.0.0.1:{_free_port()}"
        argv = [sys.executable, "-m", "collector_client", "serve", str(self.store)]
        argv += ["--ingest", f"127.0.0.1:{self._port}", "--page", page]
        with (self.folder / "collector.log").open("ab") as log:
            self._process = subprocess.Popen(argv, cwd=TREE, env=_environment(), stdout=log, stderr=log)
        self.wait("the collector listens", self._listens)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def write_setup_file(
        self, folder: Path, *options: str, where: Sequence[str] = ("--tenant", "drill", "--site", "bench")
    ) -> Path:
        """A one-time token and all else that a stick needs; returns the file.

        Raises:
            DrillError: the collector refused.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.ask("token", "new", str(self.store), *where, "--stick", str(folder), *options)
        return folder / "vedette-setup.toml"

    def sensors(self) -> list[dict[str, Any]]:
        """What the operator sees."""
        return list(json.loads(self.ask("sensors", str(self.store), "--json")))

    def alerts(self) -> list[dict[str, Any]]:
        """What the analyst sees."""
        return list(json.loads(self.ask("alerts", str(self.store), "--json", "--limit", "100000")))

    def ask(self, *argv: str) -> str:
        """What a command prints.

        Raises:
            DrillError: it failed.
        """
        command = [sys.executable, "-m", "collector_client", *argv]
        done = subprocess.run(command, cwd=TREE, env=_environment(), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise DrillError(f"vedette-collector {argv[0]}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def wait(self, what: str, found: Callable[[], T], *, timeout_s: float = PATIENCE_S) -> T:
        """The first true answer of `found`.

        Raises:
            DrillError: there was none in time; what the collector said is at the end.
        """
        until_s = time.monotonic() + timeout_s
        while time.monotonic() < until_s:
            if answer := found():
                return answer
            time.sleep(POLL_S)
        log = (self.folder / "collector.log").read_text(encoding="utf-8", errors="replace")
        raise DrillError(f"after {timeout_s:.0f} s it does not hold that {what}; the collector said:\n{log[-3000:]}")

    def _listens(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise DrillError((self.folder / "collector.log").read_text(encoding="utf-8", errors="replace")[-3000:])
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(TREE)}
