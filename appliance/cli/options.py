"""What several commands share: rule options, exit codes, and how errors are told.

Rules of this file: no command lives here. Output for programs goes to standard output, words for people to
standard error.
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from pathlib import Path
from typing import NoReturn

from appliance.errors import ApplianceError

DEFAULT_CONFIG = Path("/etc/vedette/vedette.toml")

EXIT_CODES = """\
exit codes:
  0  done
  1  done, but the answer is no (rules refused, damage found)
  2  your input cannot be used (arguments, configuration, rules)
  3  the collector or a proxy refused or broke the protocol
  4  this machine cannot do it (disk full, device missing, permission)
  130  interrupted (Ctrl-C)
"""

_CHOICE = re.compile(r"invalid choice: '([^']*)' \(choose from (.*)\)")


class Parser(argparse.ArgumentParser):
    """Tells a wrong command line with what was probably meant and where the help is."""

    def error(self, message: str) -> NoReturn:
        """Say it and exit with 2; a missing command shows the whole help, which lists them."""
        if message.endswith((": COMMAND", ": ACTION")):
            self.print_help(sys.stderr)
            self.exit(2)
        choice = _CHOICE.search(message)
        close = difflib.get_close_matches(choice[1], re.findall(r"[\w-]+", choice[2]), 1) if choice else []
        self.print_usage(sys.stderr)
        meant = f"did you mean {close[0]}? " if close else ""
        self.exit(2, f"{self.prog}: {message}\n{'':{len(self.prog) + 2}}{meant}{self.prog} --help explains\n")


def formatter(prog: str) -> argparse.RawDescriptionHelpFormatter:
    """Help of one width everywhere, so that documentation can be compared with it."""
    return argparse.RawDescriptionHelpFormatter(prog, width=110, max_help_position=28)


def add_rule_options(parser: argparse.ArgumentParser) -> None:
    """The options that say what rules mean here."""
    parser.add_argument(
        "--home-net",
        metavar="CIDR[,CIDR]",
        help="addresses to protect (HOME_NET); EXTERNAL_NET is the rest; `any` sets both to any"
        " (default: the private ranges)",
    )
    parser.add_argument(
        "--var",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        type=_assignment,
        help="set any other rule variable; may be repeated",
    )
    parser.add_argument(
        "--matcher", choices=("vectorscan", "aho-corasick"), help="pattern matcher (default: the fastest built in)"
    )


def add_config_option(parser: argparse.ArgumentParser) -> None:
    """The option that names the configuration file."""
    parser.add_argument(
        "--config", metavar="FILE", type=Path, default=DEFAULT_CONFIG, help=f"configuration (default: {DEFAULT_CONFIG})"
    )


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise argparse.ArgumentTypeError(f"{text!r} came, NAME=VALUE was allowed")
    return name.strip().removeprefix("$"), value


def tell(message: str) -> None:
    """A line for a person."""
    print(message, file=sys.stderr)


def tell_error(error: ApplianceError) -> int:
    """An error and what to do about it, for a person; returns its exit code."""
    tell(f"vedette: {error}")
    if error.advice:
        tell(f"         {error.advice}")
    return error.exit_code
