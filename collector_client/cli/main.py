"""The parser of `vedette-collector` and its one exit: a command's number, or an error told with what to do.

Rules of this file: it lists the commands; each declares and runs itself.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import Sequence

from collector_client.child import tell_error
from collector_client.cli import alerts, ca, care, fleet, recovery, server, token, update
from collector_client.cli.options import EXIT_CODES, Parser, formatter
from collector_client.errors import CollectorError
from collector_client.store import StoreError

COMMANDS = (server, token, fleet, recovery, alerts, update, ca, care)


def build_parser() -> Parser:
    """The whole command line."""
    parser = Parser(
        prog="vedette-collector",
        description="Collector of Vedette sensors: takes SNML alerts over mutual TLS, stores each once, shows them.",
        epilog=EXIT_CODES,
        formatter_class=formatter,
    )
    parser.add_argument("--version", action="version", version=f"vedette-collector {_version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add(commands)
    return parser


def _version() -> str:
    try:
        return importlib.metadata.version("vedette")
    except importlib.metadata.PackageNotFoundError:
        return "(run from its sources, not installed)"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    args = build_parser().parse_args(argv)
    try:
        return int(args.run(args))
    except (CollectorError, StoreError) as error:
        return tell_error(error)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
