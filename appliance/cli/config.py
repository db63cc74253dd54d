"""`vedette config`: the documented defaults, or a check of a file.

Rules of this file: argument handling and printing only.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from appliance.cli.options import EXIT_CODES, formatter, tell
from appliance.config import default_toml, load_config

EXAMPLES = """\
examples:
  vedette config > /etc/vedette/vedette.toml
  vedette config --check /etc/vedette/vedette.toml
"""


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "config",
        help="print every configuration key with its default, or check a file",
        description="Print every configuration key with its default and meaning, as TOML; or check a file.",
        epilog=EXAMPLES + "\n" + EXIT_CODES,
        formatter_class=formatter,
    )
    parser.add_argument("--check", metavar="FILE", type=Path, help="check this file instead of printing")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print or check."""
    if args.check is None:
        print(default_toml())
        return 0
    load_config(args.check)
    tell(f"{args.check}: can be used")
    return 0
