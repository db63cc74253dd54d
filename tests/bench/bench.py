"""`make bench`: `vedette replay` beside Suricata 7 on the same packets with the same rules, in the same run.

    python -m tests.bench.bench [--runs N] [--pcap FILE] [--rules FILE] [--json FILE] [--no-peer]

Rules of this file: both sides get the rules that Vedette loads, none of them checks checksums, each works on one
thread and writes its alerts; runs alternate, medians count, and alerts are compared as sets of (sid, flow). What
differs stays visible: the peer's time for all rules of the file is given beside. Times are CPU seconds, which a busy
machine stretches: trust ratios of one run, not figures of two.
"""

from __future__ import annotations

import argparse
import dataclasses
import ipaddress
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench import make_pcap, peer

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
HOME_NET = "192.168.0.0/16,10.0.0.0/8,172.16.0.0/12"
VEDETTE = [sys.executable, "-m", "appliance"]


class BenchError(Exception):
    """A side could not be run; the text says what it said."""


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of one side: `seconds_cpu` of the packet thread alone, `seconds_cpu_total` of the whole process."""

    seconds_cpu: float
    seconds_cpu_total: float
    seconds_wall: float
    peak_rss_bytes: int
    alerts: frozenset[tuple[Any, ...]]


def cache_dir() -> Path:
    """Where captures and rule subsets are kept between runs: VEDETTE_BENCH_DIR, else ~/.cache/vedette-bench."""
    return Path(os.environ.get("VEDETTE_BENCH_DIR") or Path.home() / ".cache" / "vedette-bench").expanduser()


def alert_set(alerts: Iterable[dict[str, Any]]) -> frozenset[tuple[Any, ...]]:
    """EVE alerts as a set of (sid, protocol, the two ends in either order): the same flow whoever spoke."""
    found = set()
    for alert in alerts:
        ends = [
            (str(ipaddress.ip_address(alert[f"{side}_ip"])), int(alert.get(f"{side}_port", 0)))
            for side in ("src", "dest")
        ]
        found.add((int(alert["alert"]["signature_id"]), alert["proto"], *sorted(ends)))
    return frozenset(found)


def loadable(rules: Path, folder: Path) -> tuple[Path, int, int]:
    """A copy of the rule file without the rules that Vedette refuses; gives it with loaded and refused counts.

    Raises:
        BenchError: `vedette rules check` did not answer.
    """
    done = subprocess.run([*VEDETTE, "rules", "check", "--json", str(rules)], cwd=ROOT, capture_output=True, text=True)
    try:
        said = json.loads(done.stdout)
    except ValueError:
        raise BenchError(f"vedette rules check ended with {done.returncode}: {done.stderr[-800:]}") from None
    refused = {item["line"] for item in said["refused"]}
    lines = rules.read_text(encoding="utf-8", errors="surrogateescape").split("\n")
    kept = [line for number, line in enumerate(lines, 1) if number not in refused]
    subset = folder / f"{rules.stem}.loadable.rules"
    subset.write_text("\n".join(kept), encoding="utf-8", errors="surrogateescape")
    return subset, said["loaded"], len(said["refused"])


def run_vedette(pcap: Path, rules: Path) -> tuple[Run, dict[str, Any]]:
    """One replay in a process of its own.

    Raises:
        BenchError: it did not end well.
    """
    with tempfile.TemporaryDirectory(prefix="vedette-bench-") as scratch:
        stats, output, said = (Path(scratch) / name for name in ("stats.json", "eve.json", "said"))
        command = [*VEDETTE, "replay", str(pcap), "--rules", str(rules), "--format", "eve", "--output", str(output)]
        command += ["--home-net", HOME_NET, "--checksums", "ignore", "--stats", str(stats)]
        with said.open("w") as words:
            process = subprocess.Popen(command, cwd=ROOT, stdout=words, stderr=words)
            _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise BenchError(f"vedette replay ended with {process.returncode}: {said.read_text()[-800:]}")
        figures = json.loads(stats.read_text())
        alerts = [json.loads(line) for line in output.read_text().splitlines()]
    return Run(
        figures["seconds_cpu_engine"],
        usage.ru_utime + usage.ru_stime,
        figures["seconds_wall"],
        figures["peak_rss_bytes"],
        alert_set(alerts),
    ), figures


def run_peer(root: Path, pcap: Path, rules: Path) -> Run:
    """One run of the peer."""
    done = peer.run(root, pcap, rules, f"[{HOME_NET}]")
    total = (done.seconds_cpu_worker, done.seconds_cpu_total, done.seconds_wall, done.peak_rss_bytes)
    return Run(*total, alert_set(done.alerts))


def summary(runs: list[Run], packets: int, size_bytes: int) -> dict[str, Any]:
    """Medians of the runs with the spread of the packet thread's time."""
    cpu = statistics.median(run.seconds_cpu for run in runs)
    return {
        "runs": len(runs),
        "seconds_cpu": round(cpu, 3),
        "seconds_cpu_least": round(min(run.seconds_cpu for run in runs), 3),
        "seconds_cpu_most": round(max(run.seconds_cpu for run in runs), 3),
        "packets_per_cpu_second": round(packets / cpu),
        "gbit_per_cpu_second": round(size_bytes * 8 / cpu / 1e9, 2),
        "seconds_cpu_total": round(statistics.median(run.seconds_cpu_total for run in runs), 3),
        "peak_rss_bytes": int(statistics.median(run.peak_rss_bytes for run in runs)),
        "alerts": len(runs[-1].alerts),
    }


def difference(ours: frozenset[tuple[Any, ...]], theirs: frozenset[tuple[Any, ...]]) -> dict[str, Any]:
    """What only one side found, by sid, with how many flows both agree on."""
    return {
        "both": len(ours & theirs),
        "only_vedette": sorted(map(list, ours - theirs), key=str),
        "only_peer": sorted(map(list, theirs - ours), key=str),
    }


def measure(pcap: Path, rules: Path, runs: int, with_peer: bool) -> dict[str, Any]:
    """All runs, interleaved, and what they come to.

    Raises:
        BenchError: Vedette could not be run.
        peer.PeerError: the peer could not be made or run.
    """
    root = peer.peer_dir()
    if with_peer:
        peer.make(root)
    subset, loaded, refused = loadable(rules, cache_dir())
    ours: list[Run] = []
    theirs: list[Run] = []
    theirs_all: list[Run] = []
    figures: dict[str, Any] = {}
    for _ in range(runs):
        run, figures = run_vedette(pcap, subset)
        ours.append(run)
        if with_peer:
            theirs.append(run_peer(root, pcap, subset))
            theirs_all.append(run_peer(root, pcap, rules))
    packets, size_bytes = figures["packets"], pcap.stat().st_size
    result: dict[str, Any] = {
        "pcap": pcap.name,
        "packets": packets,
        "bytes": size_bytes,
        "rules": rules.name,
        "rules_loaded": loaded,
        "rules_refused": refused,
        "load_average": os.getloadavg()[0],
        "vedette": summary(ours, packets, size_bytes) | {"seconds_cpu_start": figures["start_seconds_cpu"]},
    }
    if with_peer:
        result["peer_version"] = peer.version(root)
        result["peer"] = summary(theirs, packets, size_bytes)
        result["peer_all_rules"] = summary(theirs_all, packets, size_bytes)
        result["ratio_cpu"] = round(result["peer"]["seconds_cpu"] / result["vedette"]["seconds_cpu"], 2)
        total = result["peer"]["seconds_cpu_total"] / result["vedette"]["seconds_cpu_total"]
        result["ratio_cpu_total"] = round(total, 2)
        result["alerts"] = difference(ours[-1].alerts, theirs[-1].alerts)
    return result


def show(result: dict[str, Any]) -> None:
    """The result as a table for people."""
    table = Table(title=f"{result['pcap']}: {result['packets']:,} packets, {result['bytes'] / 1e6:,.0f} MB")
    for heading in ("engine, rules", "packet thread, CPU s", "kpackets/s", "Gbit/s", "process, CPU s", "MB", "alerts"):
        table.add_column(heading, justify="left" if heading.startswith("engine") else "right")
    kept = result["rules_loaded"]
    names = {"vedette": f"Vedette, {kept}", "peer": f"{result.get('peer_version')}, the same {kept}"}
    names["peer_all_rules"] = f"{result.get('peer_version')}, all {kept + result['rules_refused']}"
    for key, name in names.items():
        if key in result:
            row = result[key]
            spread = f"{row['seconds_cpu']:.2f} ({row['seconds_cpu_least']:.2f}-{row['seconds_cpu_most']:.2f})"
            speed = (f"{row['packets_per_cpu_second'] / 1e3:.0f}", f"{row['gbit_per_cpu_second']:.2f}")
            rest = (f"{row['seconds_cpu_total']:.2f}", f"{row['peak_rss_bytes'] / 1e6:.0f}", str(row["alerts"]))
            table.add_row(name, spread, *speed, *rest)
    console = Console(width=None if sys.stdout.isatty() else 110)
    console.print(table)
    if "peer" in result:
        console.print(f"the peer's packet thread takes {result['ratio_cpu']} times Vedette's CPU time,")
        console.print(f"its whole process (start, rules, output) {result['ratio_cpu_total']} times")
        told = result["alerts"]
        counts = (told["both"], len(told["only_vedette"]), len(told["only_peer"]))
        console.print("(sid, flow) found by both: {}, only Vedette: {}, only the peer: {}".format(*counts))
    console.print(f"load average {result['load_average']:.1f}; medians of {result['vedette']['runs']} interleaved runs")


def main(argv: list[str] | None = None) -> int:
    """Measure and show; 2 when a side cannot be run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument(
        "--pcap", type=Path, help="default: one made from ../shared/data/pcap, kept in the cache folder"
    )
    parser.add_argument("--rules", type=Path, default=DATA / "rules" / "bench" / "small200.rules")
    parser.add_argument("--megabytes", type=int, default=450, help="size of the capture that is made (default: 450)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result here")
    parser.add_argument("--no-peer", action="store_true", help="Vedette alone")
    options = parser.parse_args(argv)
    if not options.rules.is_file():
        print(f"bench: {options.rules} is not there: name a rule file with --rules", file=sys.stderr)
        return 2
    pcap = options.pcap or cache_dir() / f"bench-{options.megabytes}.pcap"
    cache_dir().mkdir(parents=True, exist_ok=True)
    try:
        if not pcap.exists():
            print(f"making {pcap} ...", file=sys.stderr)
            make_pcap.make(DATA / "pcap", pcap, options.megabytes * 1_000_000, seed=1)
        result = measure(pcap.resolve(), options.rules.resolve(), options.runs, not options.no_peer)
    except (BenchError, peer.PeerError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    show(result)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
