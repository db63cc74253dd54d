"""The collector as it is in life: `vedette-collector serve` in processes of its own, until a block ends."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass
class Served:
    """A collector in processes of its own."""

    address: str
    ingest_pid: int

    def cpu_s(self) -> float:
        """CPU seconds of the ingest so far, user and system, all threads."""
        fields = Path(f"/proc/{self.ingest_pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * _TICK_S

    def peak_rss_bytes(self) -> int:
        """The largest resident size the ingest has had."""
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.ingest_pid}/status").read_text())
        return int(found[1]) * 1024 if found else 0


@contextlib.contextmanager
def serve(directory: Path, log: Path, *, nofile: int | None = None) -> Iterator[Served]:
    """Run `vedette-collector serve` until the block ends; `nofile` is its soft limit of open files."""

    def limit() -> None:
        if nofile is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (nofile, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

    words = ["serve", str(directory), "--ingest", "127.0.0.1:0", "--page", "127.0.0.1:0"]
    with log.open("w") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "collector_client", *words],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            preexec_fn=limit,
        )
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(2)]
            found = re.search(r"https://(\S+)/", lines[0])
            if found is None:
                raise SystemExit(f"the collector did not start:\n{log.read_text()[-2000:]}")
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            ingest = next(pid for pid in children if b"ingest" in Path(f"/proc/{pid}/cmdline").read_bytes())
            yield Served(found[1], int(ingest))
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate()
