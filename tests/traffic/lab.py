"""Two network namespaces with one wire between them: `home` (the protected network) and `outside`.

What belongs here: making and removing the namespaces, starting programs inside them, recording the wire. It never
touches the machine's own interfaces, and every address is of the documentation prefixes (RFC 5737, RFC 3849).

Invariants: offloads are off, so the capture holds the packets and checksums a wire would carry; whatever happens,
leaving the `with` block ends every program started in it and removes both namespaces; nothing waits longer than
`DEADLINE_S`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

DEADLINE_S = 60
HOME_NET = ["192.0.2.0/24", "2001:db8:1::/64"]
OUTSIDE_NET = ["198.51.100.0/24", "2001:db8:2::/64"]
# The hosts of each side; the first is where a connection starts when its program names no address.
HOME = ["192.0.2.20", "192.0.2.80", "192.0.2.53", "192.0.2.25", "192.0.2.139", "2001:db8:1::20", "2001:db8:1::80"]
OUTSIDE = ["198.51.100.66", "198.51.100.20", "198.51.100.80", "198.51.100.53", "2001:db8:2::66", "2001:db8:2::80"]
# Neighbour discovery and address resolution say nothing about detection and vary from run to run.
CAPTURE_FILTER = (
    "(not arp and net 192.0.2.0/24 and net 198.51.100.0/24) "
    "or (net 2001:db8:1::/64 and net 2001:db8:2::/64 and not icmp6)"
)


class LabError(Exception):
    """A program of the lab did not do its part; the text says which and what it said."""


def _run(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=DEADLINE_S)
    if done.returncode:
        raise LabError(
            f"{' '.join(command)}: ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-400:]}"
        )
    return done.stdout


def _remove_orphans() -> None:
    """Remove the namespaces of labs that were killed before they could."""
    for line in _run("ip", "netns", "list").splitlines():
        name = line.split()[0]
        if name.startswith(("vdt-home-", "vdt-out-")) and not Path("/proc", name.rsplit("-", 1)[1]).exists():
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


class Lab:
    """Both namespaces, the wire, and what runs in them. Use as a context manager, as root."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self._names = {"home": f"vdt-home-{os.getpid()}", "outside": f"vdt-out-{os.getpid()}"}
        self._running: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Lab:
        try:
            self._build()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def _build(self) -> None:
        _remove_orphans()
        home, outside = self._names["home"], self._names["outside"]
        for name in (home, outside):
            _run("ip", "netns", "add", name)
            _run("ip", "-n", name, "link", "set", "lo", "up")
        _run(
            "ip",
            "link",
            "add",
            "wire",
            "netns",
            home,
            "address",
            "02:00:00:00:00:01",
            "type",
            "veth",
            "peer",
            "name",
            "wire",
            "netns",
            outside,
            "address",
            "02:00:00:00:00:02",
        )
        sides = ((home, HOME, OUTSIDE_NET), (outside, OUTSIDE, HOME_NET))
        for name, own, far_nets in sides:
            for key in (
                "ipv6.conf.all.accept_dad=0",
                "ipv6.conf.default.accept_dad=0",
                "ipv4.conf.all.rp_filter=0",
                "ipv6.conf.wire.accept_dad=0",
                "ipv4.ping_group_range=0 2147483647",
            ):
                _run("ip", "netns", "exec", name, "sysctl", "-qw", f"net.{key}")
            _run(
                "ip",
                "netns",
                "exec",
                name,
                "ethtool",
                "-K",
                "wire",
                "tx",
                "off",
                "rx",
                "off",
                "tso",
                "off",
                "gso",
                "off",
                "gro",
                "off",
                "sg",
                "off",
            )
            _run("ip", "-n", name, "link", "set", "wire", "up")
            for address in own:
                _run("ip", "-n", name, "address", "add", address + ("/128" if ":" in address else "/32"), "dev", "wire")
            for net in far_nets:
                first = next(address for address in own if (":" in address) == (":" in net))
                _run("ip", "-n", name, "route", "add", net, "dev", "wire", "src", first)

    def _remove(self) -> None:
        for process in reversed(self._running):
            self._end(process)
        for name in self._names.values():
            pids = subprocess.run(
                ["ip", "netns", "pids", name], check=False, capture_output=True, text=True
            ).stdout.split()
            for pid in pids:  # daemons that left their process group
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)

    def _end(self, process: subprocess.Popen[str], how: signal.Signals = signal.SIGTERM) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(5)

    def run(self, side: str, *command: str, ok: tuple[int, ...] = (0,), stdin: str | None = None) -> str:
        """Run a program to its end in `home` or `outside`; gives its standard output.

        Raises:
            LabError: it ended with a code not in `ok`, or not in time.
        """
        argv = ["ip", "netns", "exec", self._names[side], *command]
        environment = {**os.environ, "HOME": str(self.scratch), "LC_ALL": "C", "TZ": "UTC"}
        try:
            done = subprocess.run(
                argv,
                check=False,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=DEADLINE_S,
                input=stdin,
                env=environment,
                cwd=self.scratch,
            )
        except subprocess.TimeoutExpired:
            raise LabError(f"{' '.join(command)}: not done in {DEADLINE_S} s") from None
        if done.returncode not in ok:
            raise LabError(
                f"{' '.join(command)}: ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-400:]}"
            )
        return done.stdout

    def start(self, side: str, *command: str, ports: tuple[tuple[str, int], ...] = ()) -> subprocess.Popen[str]:
        """Start a server and wait until it listens on `ports` (protocol, number).

        Raises:
            LabError: it ended or did not listen in time.
        """
        argv = ["ip", "netns", "exec", self._names[side], *command]
        output = (self.scratch / f"{Path(command[0]).name}.{len(self._running)}.log").open("w")
        with output:
            process = subprocess.Popen(
                argv,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
                cwd=self.scratch,
            )
        self._running.append(process)
        self._wait(lambda: all(self._listens(side, *port) for port in ports), process, f"{command[0]} on {ports}")
        return process

    def stop(self, process: subprocess.Popen[str]) -> None:
        """End a server started before."""
        self._end(process)
        self._running.remove(process)

    def _listens(self, side: str, protocol: str, port: int) -> bool:
        kind = "-lnt" if protocol == "tcp" else "-lnu"
        shown = _run("ip", "netns", "exec", self._names[side], "ss", "-H", kind, f"sport = :{port}")
        return bool(shown.strip())

    def _wait(self, done: object, process: subprocess.Popen[str], what: str) -> None:
        assert callable(done)
        limit = time.monotonic() + DEADLINE_S
        while not done():
            if process.poll() is not None:
                raise LabError(f"{what}: ended with {process.returncode}; see its log in {self.scratch}")
            if time.monotonic() > limit:
                raise LabError(f"{what}: not ready in {DEADLINE_S} s")
            time.sleep(0.02)

    @contextlib.contextmanager
    def recording(self, pcap: Path) -> Iterator[None]:
        """Record the wire, seen from `home`, into `pcap` while the block runs."""
        said = self.scratch / "tcpdump.log"
        with said.open("w") as output:
            argv = [
                "ip",
                "netns",
                "exec",
                self._names["home"],
                "tcpdump",
                "-i",
                "wire",
                "-n",
                "-s",
                "0",
                "-U",
                "--immediate-mode",
                "-Z",
                "root",
                "-w",
                str(pcap),
                CAPTURE_FILTER,
            ]
            process = subprocess.Popen(
                argv, stdout=output, stderr=output, stdin=subprocess.DEVNULL, text=True, start_new_session=True
            )
        self._running.append(process)
        self._wait(lambda: "listening on" in said.read_text(), process, "tcpdump")
        yield
        time.sleep(0.5)  # connections still closing
        self._end(process, signal.SIGINT)
        self._running.remove(process)
        if " 0 packets dropped by kernel" not in " " + said.read_text().replace("\n", " "):
            raise LabError(f"tcpdump lost packets: {said.read_text()[-300:]}")
