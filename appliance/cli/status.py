"""`vedette status`: what the running daemon says of itself.

Rules of this file: argument handling and printing only; the words come from `daemon.report`.
"""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from appliance.cli.options import EXIT_CODES, add_config_option, formatter
from appliance.config import load_config
from appliance.daemon.status import ask_status

EXAMPLES = """\
examples:
  vedette status
  vedette status --json | jq .spool.waiting
"""


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "status",
        help="what the running sensor says of itself",
        description="Ask the running daemon over its local socket. Exit 1 when a finding is critical.",
        epilog=EXAMPLES + "\n" + EXIT_CODES,
        formatter_class=formatter,
    )
    add_config_option(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the status."""
    config = load_config(args.config)
    status = ask_status(Path(config.sensor.state_dir) / "run" / "status.sock")
    if args.json:
        print(json.dumps(status, indent=1))
        return 0
    for part, values in status.items():
        if isinstance(values, dict):
            print(part)
            for name, value in values.items():
                if not isinstance(value, dict):
                    print(
                        f"  {name.removesuffix('_ns'):22} {shown_time(value) if name.endswith('_ns') else shown(value)}"
                    )
    findings = status.get("findings", [])
    for finding in findings:
        print(f"{finding['severity']:8}  {finding['check']}: {finding['text']}")
        if finding["advice"] and finding["severity"] != "ok":
            print(f"{'':8}  -> {finding['advice']}")
    return 1 if any(finding["severity"] == "critical" for finding in findings) else 0


def shown_time(value: object) -> str:
    """Nanoseconds since 1970 as a time in UTC; what is no number, as it is."""
    if not isinstance(value, int) or isinstance(value, bool):
        return shown(value)
    return f"{datetime.fromtimestamp(value // 10**9, UTC):%Y-%m-%d %H:%M:%S} UTC"


def shown(value: object) -> str:
    """A value as a person reads it."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return str(value)
