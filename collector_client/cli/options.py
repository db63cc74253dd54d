"""What several commands share: the folder, exit codes, tables for people, JSON for programs.

Rules of this file: no command lives here. Output for programs goes to standard output, errors and hints to standard
error; text that came from a sensor is shown without control characters and never read as markup.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import json
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from appliance.wire.fields import format_clock, plain

EXIT_CODES = """\
exit codes:
  0  done
  1  done, but the answer is no (damage or gaps found, a sensor that is not there)
  2  your input cannot be used (arguments, configuration, folder)
  4  this machine cannot do it (disk full, port taken, store in use, permission)
  130  interrupted (Ctrl-C)
"""
_WIDTH_OF_FILES = 200
WRAPPED = frozenset({"message", "where"})
"""Columns whose text may go over several lines."""

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


def add_command(commands: Any, name: str, doc: str, examples: str, **more: str) -> argparse.ArgumentParser:
    """Declare a command with its one line, its examples and the exit codes."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=doc,
        description=more.get("description", doc[0].upper() + doc[1:] + "."),
        epilog=f"examples:\n{examples}\n{EXIT_CODES}",
        formatter_class=formatter,
    )
    return parser


def add_directory(parser: argparse.ArgumentParser, *, optional: bool = False) -> None:
    """The collector's folder."""
    if optional:
        parser.add_argument(
            "directory", metavar="DIR", nargs="?", default=".", type=Path, help="the collector's folder (default: here)"
        )
    else:
        parser.add_argument("directory", metavar="DIR", type=Path, help="the collector's folder")


def add_json(parser: argparse.ArgumentParser) -> None:
    """`--json`."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def print_json(value: object) -> None:
    """A value of dataclasses, tuples and plain types as JSON."""
    json.dump(value, sys.stdout, indent=1, ensure_ascii=False, default=_plain_value)
    sys.stdout.write("\n")


def _plain_value(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table for people; into a file it is wide and unadorned."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDTH_OF_FILES)
    table = Table(box=box.SIMPLE_HEAD if console.is_terminal else None, pad_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        # Ids, times and addresses are copied by hand: they stay in one piece.
        table.add_column(column, overflow="fold", no_wrap=column not in WRAPPED)
    for row in rows:
        table.add_row(*(Text("-" if cell is None or cell == "" else plain(str(cell))) for cell in row))
    console.print(table)


def hint(line: str) -> None:
    """A line for a person that programs need not see."""
    print(line, file=sys.stderr)


def shown_time(wall_ns: int | None) -> str:
    """A time in UTC to the second, or a dash."""
    return "-" if wall_ns is None else format_clock(wall_ns)[:19].replace("T", " ")


def shown_place(*names: str) -> str:
    """Tenant, site and, where there is one, label."""
    return "/".join(name for name in names if name)
