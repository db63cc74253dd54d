"""The whole loop as real processes: a collector, an enrolled sensor, and what a person would ask of both.

Used by the demo and by the end-to-end tests; nothing here is a fake. Processes are ready when they say so to systemd's
notify socket, which is played here: no waiting by the clock.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.fakes.swtpm import Swtpm

ROOT = Path(__file__).parents[1]
READY_TIMEOUT_S = 60.0


class LoopError(Exception):
    """A process of the loop did not do its part; the text ends with what it said."""


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Daemon:
    """One long-running program of ours under a notify socket."""

    def __init__(self, name: str, argv: Sequence[str], folder: Path) -> None:
        self.name = name
        self._argv = list(argv)
        self._folder = folder
        self.log = folder / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it is ready.

        Raises:
            LoopError: it ended or kept silent instead.
        """
        address = f"\0vedette-loop-{os.getpid()}-{self.name}-{os.urandom(4).hex()}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, self.log.open("ab") as log:
            notify.bind(address)
            notify.settimeout(0.2)
            environment = os.environ | {"NOTIFY_SOCKET": "@" + address[1:]}
            self.process = subprocess.Popen(
                self._argv, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
            )
            for _ in range(int(READY_TIMEOUT_S / 0.2)):
                try:
                    if b"READY=1" in notify.recv(4096):
                        return
                except TimeoutError:
                    if self.process.poll() is not None:
                        break
        raise LoopError(f"{self.name} did not become ready (exit {self.process.poll()}):\n{self.said()}")

    def said(self) -> str:
        """The end of its log."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-4000:] if self.log.exists() else ""

    def kill(self) -> None:
        """kill -9, the whole process group at once."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def stop(self, timeout_s: float = 30.0) -> int:
        """Ask it to end (SIGTERM) and wait; returns its exit code."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.wait(timeout_s)

    def wait(self, timeout_s: float) -> int:
        """Wait for its own end; returns its exit code.

        Raises:
            LoopError: it goes on.
        """
        assert self.process is not None
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise LoopError(f"{self.name} did not end within {timeout_s} s:\n{self.said()}") from error


class Loop:
    """A collector and one sensor in a folder of their own."""

    def __init__(
        self, folder: Path, *, capture: str, rules: Sequence[Path] = (), settings: str = "", tpm: Swtpm | None = None
    ) -> None:
        """`capture` is the body of the [capture] section; `settings` is more TOML at the end of the configuration.

        With `tpm` the sensor's key is made in it; without, in a file.
        """
        self.folder = folder
        self.collector_dir = folder / "collector"
        self.config = folder / "vedette.toml"
        self.ingest_port, self.page_port = free_port(), free_port()
        self._capture = capture
        self._rules = rules
        self._settings = settings
        self._tpm = tpm
        python = sys.executable
        self._box = [python, "-m", "appliance"]
        self._other_side = [python, "-m", "collector_client"]
        folder.mkdir(parents=True, exist_ok=True)
        self.collector = Daemon(
            "collector",
            [
                *self._other_side,
                "serve",
                str(self.collector_dir),
                *("--ingest", f"127.0.0.1:{self.ingest_port}"),
                *("--page", f"127.0.0.1:{self.page_port}"),
            ],
            folder,
        )
        self.sensor = Daemon("sensor", [*self._box, "run", "--config", str(self.config)], folder)

    @property
    def page(self) -> str:
        """The page's address."""
        return f"http://127.0.0.1:{self.page_port}/"

    def prepare(self) -> None:
        """Make the collector, start it, and enroll the sensor with a one-time token.

        Raises:
            LoopError: a step failed.
        """
        made = self.ask_collector("init", str(self.collector_dir), "--name", "127.0.0.1", "--json")
        if self._tpm is not None:
            self._list_maker(self._tpm)
        self.collector.start()
        token = self.ask_collector(
            "token", "new", str(self.collector_dir), "--tenant", "demo-tenant", "--site", "loopback", "--json"
        )
        self.write_config(made["ca_pin"], token["token"])
        self.run([*self._box, "enroll", "--config", str(self.config)])

    def _list_maker(self, tpm: Swtpm) -> None:
        """The TPM's maker among those whose TPMs are programs: what they vouch for is worth no more than a file."""
        roots = self.collector_dir / "pki" / "tpm-roots-development"
        roots.mkdir()
        (roots / "swtpm.pem").write_bytes(tpm.ca.root_pem + tpm.ca.issuer_pem)

    def write_config(self, ca_pin: str, token: str) -> None:
        """The sensor's configuration file."""
        rules = json.dumps([str(path) for path in self._rules])
        place = 'key_store = "software"' if self._tpm is None else f'key_store = "tpm"\ntcti = "{self._tpm.tcti}"'
        self.config.write_text(
            f"""\
[sensor]
state_dir = {json.dumps(str(self.folder / "sensor"))}
hostname = "demo-sensor"

[collector]
urls = ["https://127.0.0.1:{self.ingest_port}"]
ca_pin = "{ca_pin}"
token = "{token}"

[identity]
{place}
[capture]
{self._capture}

[rules]
paths = {rules}
home_net = "any"

[uplink]
flush_ms = 50
heartbeat_s = 2
{self._settings}
""",
            encoding="utf-8",
        )

    def run(self, argv: Sequence[str]) -> str:
        """Run a command of ours to its end; returns what it printed.

        Raises:
            LoopError: it failed.
        """
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode != 0:
            raise LoopError(f"{' '.join(argv)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def ask_collector(self, *args: str) -> Any:
        """What a `vedette-collector ... --json` command prints, parsed."""
        return json.loads(self.run([*self._other_side, *args]))

    def collector_says(self, *args: str) -> str:
        """What a `vedette-collector` command prints for a person."""
        return self.run([*self._other_side, *args])

    def alerts(self) -> list[dict[str, Any]]:
        """All alerts in the collector's store."""
        return list(self.ask_collector("alerts", str(self.collector_dir), "--json", "--limit", "100000"))

    def status(self) -> dict[str, Any]:
        """What the sensor says of itself."""
        return dict(json.loads(self.run([*self._box, "status", "--config", str(self.config), "--json"])))

    def close(self) -> None:
        """End both, hard if need be."""
        for daemon in (self.sensor, self.collector):
            try:
                daemon.stop(15)
            except LoopError:
                daemon.kill()
