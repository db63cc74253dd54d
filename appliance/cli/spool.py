"""`vedette spool list` and `vedette spool verify`: what waits for the collector, and whether it is whole.

Rules of this file: argument handling and printing only.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from appliance.cli.options import EXIT_CODES, add_config_option, formatter
from appliance.config import load_config
from appliance.spool import Report, verify

EXAMPLES = """\
examples:
  vedette spool list --config /etc/vedette/vedette.toml
  vedette spool verify --config /etc/vedette/vedette.toml --json
"""


def add(commands: Any) -> None:
    """Declare the command."""
    spool = commands.add_parser(
        "spool", help="look at the spool", description="Look at the spool on disk.", formatter_class=formatter
    )
    actions = spool.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, run, said in (
        ("list", run_list, "List the segments and what waits in them for the collector."),
        ("verify", run_verify, "Read every byte; exit 1 when anything is damaged. The daemon should be at rest."),
    ):
        action = actions.add_parser(
            name,
            help=said.split(";")[0].rstrip(".").lower(),
            description=said,
            epilog=EXAMPLES + "\n" + EXIT_CODES,
            formatter_class=formatter,
        )
        add_config_option(action)
        action.add_argument("--json", action="store_true", help="print one JSON object")
        action.set_defaults(run=run)


def _report(args: argparse.Namespace) -> Report:
    return verify(Path(load_config(args.config).sensor.state_dir) / "spool")


def run_list(args: argparse.Namespace) -> int:
    """Print the segments."""
    report = _report(args)
    if args.json:
        print(json.dumps(asdict(report), indent=1))
        return 0
    waiting = sum(segment.waiting for segment in report.segments)
    print(
        f"epoch {report.epoch}: accepted up to {report.accepted_to}, stored up to {report.stored_to}, {waiting} waiting"
    )
    for segment in report.segments:
        events = f"{segment.first_seq}-{segment.last_seq}" if segment.events else "empty"
        print(f"  {segment.name}  {segment.bytes:10} bytes  {events:>20}  {segment.waiting} waiting")
    for epoch, loss in report.losses:
        print(f"  lost: epoch {epoch}, {loss.first_seq}-{loss.last_seq}: {loss.reason}")
    return 0


def run_verify(args: argparse.Namespace) -> int:
    """Exit 0 only when nothing is damaged."""
    report = _report(args)
    if args.json:
        print(json.dumps(asdict(report) | {"sound": report.sound}, indent=1))
    else:
        for note in report.notes:
            print(note)
        events = sum(segment.events for segment in report.segments)
        print(f"{len(report.segments)} segments, {events} events: {'sound' if report.sound else 'damaged'}")
    return 0 if report.sound else 1
