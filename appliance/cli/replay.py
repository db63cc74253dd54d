"""`vedette replay`: capture files through the engine, alerts out.

Rules of this file: argument handling, choosing the writer, and the progress bar; the work is `engine.replay`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from vedette_engine import Capture, EngineError

from appliance.cli.options import EXIT_CODES, add_rule_options, formatter, tell
from appliance.cli.writers import WRITERS
from appliance.engine.replay import ReplayStats, replay
from appliance.engine.ruleset import load_rules, refusal_summary, rule_variables
from appliance.errors import EnvironmentFault, OperatorError

EXAMPLES = """\
examples:
  vedette replay office.pcap --rules /etc/vedette/rules --format text
  vedette replay *.pcapng --rules et.rules --home-net 192.0.2.0/24 --format eve --output alerts.json --stats stats.json
  vedette replay trace.pcap --rules local.rules --format snml --checksums ignore
"""


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "replay",
        help="run capture files through the engine",
        description="Run pcap or pcapng files through the detection engine and write the alerts.",
        epilog=EXAMPLES + "\n" + EXIT_CODES,
        formatter_class=formatter,
    )
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="pcap or pcapng file; several are read as one stream of time"
    )
    parser.add_argument(
        "--rules", nargs="+", action="extend", required=True, metavar="PATH", help="rule files, or folders of *.rules"
    )
    parser.add_argument("--format", choices=sorted(WRITERS), default="text", help="output format (default: text)")
    parser.add_argument(
        "--output", default="-", metavar="FILE", help="where alerts go; - is standard output (default: -)"
    )
    add_rule_options(parser)
    parser.add_argument(
        "--checksums",
        choices=("verify", "ignore"),
        default="verify",
        help="drop packets with a wrong checksum, or inspect them (default: verify)",
    )
    parser.add_argument("--midstream", action="store_true", help="also follow TCP connections whose start was not seen")
    parser.add_argument("--cache-dir", metavar="DIR", help="keep compiled rules here, for a faster next start")
    parser.add_argument("--stats", metavar="FILE", help="write figures of the run as JSON; - is standard output")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Replay, then tell what should not go unnoticed: refused rules, wrong checksums, files that break off."""
    cache_dir = Path(args.cache_dir) if args.cache_dir else None
    rules = load_rules(
        args.rules, rule_variables(args.home_net, dict(args.var)), matcher=args.matcher or "", cache_dir=cache_dir
    )
    try:
        capture = Capture.files(args.files, rules, checksums=args.checksums, midstream=args.midstream)
        start_seconds_cpu = time.process_time()
        with _output(args.output) as out, _progress(len(args.files)) as on_progress:
            writer = WRITERS[args.format](out, rules.rules, args.files)
            stats = replay(capture, rules, writer, start_seconds_cpu=start_seconds_cpu, on_progress=on_progress)
    except EngineError as error:
        raise OperatorError(str(error), advice="Give pcap or pcapng files, as tcpdump writes them.") from error
    if args.format == "text":
        tell(_summary(stats))
    if args.stats:
        _write_stats(Path(args.stats), stats.as_dict())
    for warning in stats.warnings:
        tell(f"warning: {warning}")
    if stats.rules_refused:
        worst = ", ".join(f"{count} for {keyword}" for keyword, count in refusal_summary(rules)[:3])
        tell(f"warning: {stats.rules_refused} of {stats.rules_refused + stats.rules_loaded} rules refused ({worst});")
        tell("         `vedette rules check PATH` lists them")
    bad = stats.counters.get("checksum_bad", 0)
    if bad:
        tell(f"warning: {bad} of {stats.packets} packets had a wrong checksum and were not inspected;")
        tell("         captures taken on a sending host often have them: try --checksums ignore")
    return 0


def _summary(stats: ReplayStats) -> str:
    """The one line that says that there is nothing more to come, and why nothing came."""
    return f"{stats.alerts} alerts from {stats.packets} packets with {stats.rules_loaded} rules"


@contextmanager
def _output(name: str) -> Iterator[BinaryIO]:
    """Standard output, or a file."""
    if name == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        with Path(name).open("wb") as file:
            yield file
    except OSError as error:
        raise EnvironmentFault(f"{name}: {error.strerror or error}", advice="Choose another --output.") from error


@contextmanager
def _progress(files: int) -> Iterator[Callable[[int, int, int], None]]:
    """A progress bar where standard error is a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda done, total, alerts: None  # noqa: ARG005 - the callback's shape
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[alerts]} alerts"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"{files} file{'s' if files != 1 else ''}", total=None, alerts=0)
        yield lambda done, total, alerts: bar.update(task, completed=done, total=total, alerts=alerts)


def _write_stats(path: Path, stats: dict[str, object]) -> None:
    if str(path) == "-":
        print(json.dumps(stats, indent=1))
        return
    try:
        path.write_text(json.dumps(stats, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise EnvironmentFault(f"{path}: {error.strerror or error}", advice="Choose another --stats.") from error
