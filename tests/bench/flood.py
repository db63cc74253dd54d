"""What a flood costs those who are honest: enrolled sensors that send heartbeats, and boxes that enroll meanwhile.

    python -m tests.bench.flood [--seconds S] [--sensors N] [--addresses A] [--json]

    phase             the attacker, a process of its own, from A addresses at once, as fast as it can
    calm              does nothing
    half handshakes   opens connections and says nothing
    wrong tokens      does full handshakes and asks to enroll with a token that nobody made

Rules of this file: the collector is the real one with the configuration that `init` writes. Sensors wait for each
answer before they send again. Boxes enroll one after another; one whose connection gave way tries again at once, which
is counted, and the time is that of all its tries. Attacker, sensors and collector share the machine, so the loss is
that of the flood and of the attacker's own work together. Exit code 1 when an honest request was refused.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from appliance.wire.enrollment import EnrollmentToken
from appliance.wire.heartbeat import Heartbeat, HostHealth, SpoolHealth
from collector_client.create import create_collector
from collector_client.store.clock import SystemClock
from tests.bench.enroll_storm import make_tokens, percentile
from tests.collector_client.served import Served, serve
from tests.fakes.sensor import Answer, FakeSensor

PHASES = ("calm", "half handshakes", "wrong tokens")
WRONG = str(EnrollmentToken("t-" + "a" * 12, "x" * 43))
BEAT = Heartbeat(2, 1, "0.1.0", HostHealth(1.0, 0.1, 20.0, 30.0, 10**9), SpoolHealth(7, 5, 4, 1000)).to_json()
_ATTACKERS = 16
_OPEN_AT_ONCE = 3000


def half_handshakes(address: str, addresses: int) -> None:
    """Open connections without end; the oldest are let go so that this process does not run out of files."""
    host, _, port = address.rpartition(":")
    held: list[socket.socket] = []
    for number in itertools.count():
        with contextlib.suppress(OSError):
            held.append(socket.create_connection((host, int(port)), 5, (_source(number % addresses), 0)))
        if len(held) > _OPEN_AT_ONCE:
            held.pop(0).close()


def wrong_tokens(address: str, addresses: int) -> None:
    """Guess tokens without end."""

    def guess(first: int) -> None:
        for number in itertools.count():
            box = FakeSensor(address)
            box.source = _source((first + number * _ATTACKERS) % addresses)
            with contextlib.suppress(OSError):
                box.enroll(WRONG)
            box.disconnect()

    for first in range(_ATTACKERS):
        threading.Thread(target=guess, args=(first,), daemon=True).start()
    threading.Event().wait()


def _source(number: int) -> str:
    return f"127.200.{number // 250}.{1 + number % 250}"


def measure(served: Served, sensors: list[FakeSensor], tokens: list[str], seconds: float) -> dict[str, Any]:
    """Let sensors speak and boxes enroll for so long; milliseconds and refusals."""
    until = time.monotonic() + seconds
    refused: Counter[str] = Counter()
    again = 0

    def timed(work: Any, what: str) -> float:
        began = time.monotonic()
        try:
            answer = work()
            if answer.status != 200:
                refused[f"{what}: {answer.code}"] += 1
        except OSError as error:
            refused[f"{what}: {type(error).__name__}"] += 1
        return (time.monotonic() - began) * 1000

    def speak(sensor: FakeSensor) -> list[float]:
        took = []
        while time.monotonic() < until:
            took.append(timed(lambda: sensor.heartbeat(BEAT), "heartbeat"))
        return took

    def try_to_enroll(box: FakeSensor, token: str) -> Answer:
        nonlocal again
        while True:
            try:
                return box.enroll(token)
            except ConnectionError:
                again += 1

    def come_in() -> list[float]:
        took = []
        while time.monotonic() < until and tokens:
            box, token = FakeSensor(served.address), tokens.pop()
            took.append(timed(lambda box=box, token=token: try_to_enroll(box, token), "enroll"))
            box.disconnect()
        return took

    cpu_before_s = served.cpu_s()
    with ThreadPoolExecutor(len(sensors) + 1) as pool:
        speaking = [pool.submit(speak, sensor) for sensor in sensors]
        coming = pool.submit(come_in)
        beats = [took for done in speaking for took in done.result()]
        enrolled = coming.result()
    return {
        "heartbeats_per_second": round(len(beats) / seconds, 1),
        "heartbeat_ms": _spread(beats),
        "enrolled_per_second": round(len(enrolled) / seconds, 1),
        "enroll_ms": _spread(enrolled),
        "tried_again": again,
        "refused": dict(refused),
        "server_cpu_share": round((served.cpu_s() - cpu_before_s) / seconds, 2),
    }


def _spread(values: list[float]) -> dict[str, float]:
    return {
        "p50": round(percentile(values, 0.50), 1),
        "p99": round(percentile(values, 0.99), 1),
        "max": round(max(values, default=0.0), 1),
    }


def main(argv: list[str] | None = None) -> int:
    """Run the phases in turn and print them."""
    parser = argparse.ArgumentParser(description="what a flood costs enrolled sensors and boxes that enroll")
    parser.add_argument("--seconds", type=float, default=10.0, metavar="S", help="length of a phase")
    parser.add_argument("--sensors", type=int, default=10, metavar="N", help="sensors that send heartbeats")
    parser.add_argument("--addresses", type=int, default=1000, metavar="A", help="addresses of the attacker")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--attack", nargs=2, metavar=("PHASE", "ADDRESS"), help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.attack:
        phase, address = options.attack
        (half_handshakes if phase == PHASES[1] else wrong_tokens)(address, options.addresses)
    results = {}
    with tempfile.TemporaryDirectory(prefix="vedette-flood-") as scratch:
        directory = Path(scratch) / "collector"
        create_collector(directory, ["127.0.0.1"], "127.0.0.1:0", SystemClock())
        with serve(directory, Path(scratch) / "log", nofile=1024) as served:
            tokens = make_tokens(directory, 2000)
            sensors = [FakeSensor(served.address) for _ in range(options.sensors)]
            for sensor in sensors:
                sensor.enroll(tokens.pop())
            for phase in PHASES:
                attack = [] if phase == PHASES[0] else [_attack(phase, served.address, options.addresses)]
                results[phase] = measure(served, sensors, tokens, options.seconds)
                for process in attack:
                    process.kill()
                    process.wait()
            for sensor in sensors:
                sensor.disconnect()
            peak = served.peak_rss_bytes()
    report = {"phases": results, "server_peak_rss_bytes": peak, "cores": os.cpu_count()}
    print(json.dumps(report, indent=2) if options.json else shown(report))
    return 1 if any(result["refused"] for result in results.values()) else 0


def _attack(phase: str, address: str, addresses: int) -> subprocess.Popen[bytes]:
    words = ["--attack", phase, address, "--addresses", str(addresses)]
    return subprocess.Popen([sys.executable, "-m", "tests.bench.flood", *words])


def shown(report: dict[str, Any]) -> str:
    """The phases as a table."""
    heads = ("beats/s", "p50 ms", "p99 ms", "enroll/s", "p50 ms", "max ms", "again")
    lines = [f"{'phase':16}" + "".join(f"{head:>9}" for head in heads) + " refused"]
    for phase, result in report["phases"].items():
        beat, enroll = result["heartbeat_ms"], result["enroll_ms"]
        values = (
            *(result["heartbeats_per_second"], beat["p50"], beat["p99"]),
            *(result["enrolled_per_second"], enroll["p50"], enroll["max"], result["tried_again"]),
        )
        lines.append(f"{phase:16}" + "".join(f"{value:>9}" for value in values) + f" {result['refused'] or 'none'}")
    return "\n".join([*lines, f"ingest at its peak {report['server_peak_rss_bytes'] / 2**20:.0f} MiB"])


if __name__ == "__main__":
    sys.exit(main())
