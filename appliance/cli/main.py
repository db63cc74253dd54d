"""The parser of `vedette` and its one exit: a command's number, or an error told with what to do.

Rules of this file: it lists the commands; each declares and runs itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from appliance import __version__
from appliance.cli import (
    boot,
    config,
    doctor,
    enroll,
    escrow,
    replay,
    reset,
    rules,
    run,
    setup,
    spool,
    status,
    supervisor,
    support_bundle,
    update,
)
from appliance.cli.options import EXIT_CODES, Parser, formatter, tell_error
from appliance.errors import ApplianceError

COMMANDS = (
    run,
    setup,
    enroll,
    status,
    doctor,
    replay,
    rules,
    spool,
    supervisor,
    reset,
    update,
    boot,
    escrow,
    support_bundle,
    config,
)


def build_parser() -> Parser:
    """The whole command line."""
    parser = Parser(
        prog="vedette",
        description="IDS sensor: watches the wire with Suricata-language rules, sends SNML alerts to its collector.",
        epilog=EXIT_CODES,
        formatter_class=formatter,
    )
    parser.add_argument("--version", action="version", version=f"vedette {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    args = build_parser().parse_args(argv)
    try:
        return int(args.run(args))
    except ApplianceError as error:
        return tell_error(error)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
