"""`vedette-collector verify`, `backup` and `restore`: looking after the store.

Rules of this file: argument handling and printing only.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from appliance.wire.enrollment import parse_sensor_id
from appliance.wire.session import SessionError
from collector_client.care import Report, backup, restore, verify_store
from collector_client.cli.options import add_command, add_directory, add_json, hint, print_json
from collector_client.errors import OperatorError

_VERIFY = """\
  vedette-collector verify /var/lib/vedette-collector
  vedette-collector verify /var/lib/vedette-collector s-fryock32azdpsitz6qt4 --json
"""
_BACKUP = "  vedette-collector backup /var/lib/vedette-collector collector-2026-11-24.tar\n"
_RESTORE = "  vedette-collector restore /var/lib/vedette-collector collector-2026-11-24.tar\n"


def add(commands: Any) -> None:
    """Declare the commands."""
    verify = add_command(
        commands,
        "verify",
        "check the store: digests, numbers, gaps, the audit chain",
        _VERIFY,
        description="Check every stored element against the digest of when it came, every number against what was"
        " receipted,\nand the audit chain. Exit 1 when something is damaged or missing. May run beside serve.",
    )
    add_directory(verify)
    verify.add_argument("sensor", metavar="SENSOR", nargs="?", help="only this sensor (default: all)")
    add_json(verify)
    verify.set_defaults(run=run_verify)
    save = add_command(
        commands,
        "backup",
        "write a copy of everything into one file; may run beside serve",
        _BACKUP,
        description="Write databases, configuration, certificates and the CA's keys into one file (mode 0600: keep it"
        " as safe\nas the collector itself). May run beside serve.",
    )
    add_directory(save)
    save.add_argument("file", metavar="FILE", type=Path, help="the new file")
    save.set_defaults(run=run_backup)
    load = add_command(commands, "restore", "make a collector from a backup, in a new folder", _RESTORE)
    add_directory(load)
    load.add_argument("file", metavar="FILE", type=Path, help="what `backup` wrote")
    load.set_defaults(run=run_restore)


def run_verify(args: argparse.Namespace) -> int:
    """Exit 0 only if nothing is damaged or missing."""
    try:
        sensor_id = None if args.sensor is None else parse_sensor_id(args.sensor)
    except SessionError as error:
        raise OperatorError(str(error), advice="list them: vedette-collector sensors") from error
    shown = sys.stderr.isatty()
    report = verify_store(
        args.directory, sensor_id, lambda count: print(f"\r{count} alerts", end="", file=sys.stderr) if shown else None
    )
    if args.json:
        print_json({"whole": report.whole, "report": report})
    else:
        _print(report)
    return 0 if report.whole else 1


def _print(report: Report) -> None:
    for line in report.damage:
        print(f"damage: {line}")
    for sensor, epoch, first, last in report.gaps:
        print(f"gap: {sensor}, epoch {epoch}: {first}-{last} never came")
    for sensor, epoch, first, last in report.losses:
        print(f"loss: {sensor}, epoch {epoch}: {first}-{last} declared lost by the sensor")
    print(
        f"{report.alerts} alerts and {report.quarantined} refused events in {report.months} months:"
        f" {report.damage_count} damaged, {len(report.gaps)} gaps, {len(report.losses)} declared losses"
    )


def run_backup(args: argparse.Namespace) -> int:
    """Write the backup and say what is in it."""
    names = backup(args.directory, args.file)
    print(f"wrote {args.file}: {len(names)} files")
    hint("it holds the CA's keys: keep it as safe as the collector itself")
    return 0


def run_restore(args: argparse.Namespace) -> int:
    """Make the folder and say what is in it."""
    names = restore(args.file, args.directory)
    print(f"restored {len(names)} files into {args.directory}")
    hint(f"next: vedette-collector verify {args.directory}, then serve; events since the backup show as gaps")
    return 0
