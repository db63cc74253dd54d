"""`make bench-enroll`: a thousand boxes that enroll at once against one collector on this machine; all must succeed.

    python -m tests.bench.enroll_storm [--sensors N] [--at-once M] [--tpm] [--json] [--keep DIR]

Rules of this file: the collector is the real one, `vedette-collector serve` in processes of its own with a fresh store,
with the configuration that `init` writes; the boxes are `storm.py`. CPU seconds and peak size are
those of the ingest process. Client and server share the machine, so a rate is a lower bound of what the server can do.
Exit code 1 when a box did not get in.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from collector_client.create import create_collector
from collector_client.store import Control
from collector_client.store.clock import SystemClock
from collector_client.tokens import new_token
from tests.bench.storm import Storm, make_boxes
from tests.collector_client.served import serve
from tests.fakes.tpm_device import Maker, TpmDevice, ecc_ek

STEPS = ("cacerts", "enroll", "config", "all")


def make_tokens(directory: Path, count: int) -> list[str]:
    """Tokens of one tenant."""
    control, clock = Control.open(directory), SystemClock()
    try:
        return [str(new_token(control, "acme", "north", "", 3600, clock.wall_ns())) for _ in range(count)]
    finally:
        control.close()


def percentile(values: Sequence[float], part: float) -> float:
    """The smallest value that `part` of all do not exceed; 0 when there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0


def run(
    folder: Path,
    sensors: int,
    at_once: int,
    *,
    tpm: bool = False,
    nofile: int | None = None,
    tell: Callable[[str], None] = lambda _line: None,
) -> dict[str, Any]:
    """One storm on a new collector in `folder`; returns what `--json` prints."""
    directory = folder / "collector"
    pin = create_collector(directory, ["127.0.0.1"], "127.0.0.1:0", SystemClock())
    maker = Maker()
    if tpm:
        (directory / "pki" / "tpm-roots").mkdir()
        (directory / "pki" / "tpm-roots" / "maker.pem").write_bytes(maker.pem)
    tell(f"making {sensors} keys and tokens")
    boxes = make_boxes(make_tokens(directory, sensors), (lambda: TpmDevice.made_by(maker, ecc_ek())) if tpm else None)
    tell("starting the collector")
    with serve(directory, folder / "collector.log", nofile=nofile) as served:
        host, _, port = served.address.rpartition(":")
        storm = Storm(host, int(port), pin, folder)
        cpu_before_s = served.cpu_s()
        tell(f"enrolling {sensors}, {at_once} at once")
        wall_s = asyncio.run(storm.run(boxes, at_once))
        cpu_s, peak = served.cpu_s() - cpu_before_s, served.peak_rss_bytes()
    return {
        "sensors": sensors,
        "at_once": at_once,
        "key": "tpm" if tpm else "software",
        "enrolled": storm.enrolled,
        "failures": dict(storm.failures),
        "open_at_once": storm.open_most,
        "seconds_wall": round(wall_s, 3),
        "enrolled_per_second": round(storm.enrolled / wall_s, 1),
        "step_ms": {
            step: {
                "p50": round(percentile(storm.step_s[step], 0.50) * 1000, 1),
                "p99": round(percentile(storm.step_s[step], 0.99) * 1000, 1),
                "max": round(max(storm.step_s[step], default=0.0) * 1000, 1),
            }
            for step in STEPS
        },
        "server_seconds_cpu": round(cpu_s, 2),
        "server_peak_rss_bytes": peak,
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def shown(result: dict[str, Any]) -> str:
    """The result as text."""
    lines = [
        f"{result['enrolled']} of {result['sensors']} enrolled ({result['key']} keys, {result['at_once']} at once,"
        f" {result['open_at_once']} connections open at once)",
        f"{result['seconds_wall']:.2f} s, {result['enrolled_per_second']:.1f} sensors/s;"
        f" ingest {result['server_seconds_cpu']:.2f} CPU s, peak {result['server_peak_rss_bytes'] / 2**20:.0f} MiB",
        f"{'step':8} {'p50 ms':>9} {'p99 ms':>9} {'max ms':>9}",
    ]
    for step, values in result["step_ms"].items():
        lines.append(f"{step:8} {values['p50']:>9.1f} {values['p99']:>9.1f} {values['max']:>9.1f}")
    lines += [f"failed {count:5} x {what}" for what, count in result["failures"].items()]
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Run one storm and print it."""
    parser = argparse.ArgumentParser(description="many boxes enroll at once at one collector; all must succeed")
    parser.add_argument("--sensors", type=int, default=1000, metavar="N")
    parser.add_argument("--at-once", type=int, metavar="M", help="boxes under way at once (default: all)")
    parser.add_argument("--tpm", action="store_true", help="keys in TPMs (imitated), with the proof of residency")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="make the collector there and leave it")
    options = parser.parse_args(argv)
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    with tempfile.TemporaryDirectory(prefix="vedette-storm-") as scratch:
        result = run(
            options.keep or Path(scratch),
            options.sensors,
            options.at_once or options.sensors,
            tpm=options.tpm,
            nofile=1024,  # what systemd and most shells give
            tell=lambda line: print(line, file=sys.stderr, flush=True),
        )
    print(json.dumps(result, indent=2) if options.json else shown(result))
    return 0 if result["enrolled"] == result["sensors"] else 1


if __name__ == "__main__":
    sys.exit(main())
