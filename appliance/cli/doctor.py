"""`vedette doctor`: what keeps this box from its work, and what to do.

Rules of this file: argument handling and printing only; the work is `appliance.doctor`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from appliance.cli.options import EXIT_CODES, add_config_option, formatter
from appliance.clock import SystemClock
from appliance.config import load_config
from appliance.daemon import ReachedElement
from appliance.doctor import CheckName, Patient, Result, State, examine
from appliance.identity import KeyFileError, TpmError

EXAMPLES = """\
examples:
  vedette doctor
  vedette doctor --json | jq '.checks[] | select(.state == "failed")'
"""


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "doctor",
        help="find what keeps this sensor from its work",
        description="Look at link, address, DNS, TCP, proxy, TLS chain, name, clock, token, key, certificate, quota,"
        " rules,\ncapture, disk and spool, and say of each that fails what to do. Nothing is changed, no secret is"
        " sent; it may run beside\nthe daemon and before the enrollment. Exit 1 when a check fails.",
        epilog=EXAMPLES + "\n" + EXIT_CODES,
        formatter_class=formatter,
    )
    add_config_option(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Examine and print."""
    config = load_config(args.config)
    patient = Patient(config, SystemClock(), ReachedElement(config))
    if patient.folder.certificate_path.exists():
        try:
            patient.folder.keys.prepare(patient.folder.key_path, patient.state_dir / "run" / "openssl.cnf")
        except TpmError as error:
            patient.key_fault = error
        except KeyFileError:
            pass  # the certificate's check reads the same file and says the same
    found = examine(patient)
    healthy = all(result.state is not State.FAILED for result in found.values())
    if args.json:
        checks = [
            {"check": check.value, "state": result.state.value, "text": result.text, "advice": result.advice}
            for check, result in found.items()
        ]
        print(json.dumps({"healthy": healthy, "checks": checks}, indent=1))
    else:
        print(table(found))
    return 0 if healthy else 1


def table(found: Mapping[CheckName, Result]) -> str:
    """One line a check, its advice below it."""
    lines = []
    for check, result in found.items():
        lines.append(f"{result.state.value:8}  {check.value:12} {result.text}")
        if result.advice:
            lines.append(f"{'':8}  {'':12} -> {result.advice}")
    return "\n".join(lines)
