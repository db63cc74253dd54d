"""The parts of the documentation that are made from the code: help texts and the table of configuration keys.

Run as `python -m tests.architecture.docs` to write them anew; `test_docs.py` fails when the tree's differ.
A file takes part by having a block that opens with a line `<!-- help: vedette replay -->` or `<!-- config keys -->` and
ends with `<!-- end -->`.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from appliance.cli.main import build_parser as appliance_parser
from appliance.config.keys import keys_of
from appliance.config.load import toml_value
from appliance.config.sections import SECTIONS
from collector_client.cli.main import build_parser as collector_parser
from image.flash.cli import build_parser as flash_parser

ROOT = Path(__file__).parents[2]
FILES = ("README.md", "appliance/README.md", "collector_client/README.md", "image/flash/README.md")
BLOCK = re.compile(r"<!-- (?P<what>help: [a-z -]+|config keys) -->\n.*?<!-- end -->", re.DOTALL)


def commands() -> dict[str, str]:
    """Every command of our programs, as typed -> its help text."""
    found: dict[str, str] = {}
    _walk(appliance_parser(), found)
    _walk(collector_parser(), found)
    _walk(flash_parser(), found)
    return found


def _walk(parser: argparse.ArgumentParser, found: dict[str, str]) -> None:
    found[parser.prog] = parser.format_help()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                _walk(child, found)


def config_table() -> str:
    """The configuration keys of the sensor as a Markdown table."""
    rows = ["| key | default | unit | meaning |", "| --- | --- | --- | --- |"]
    for name, section in SECTIONS.items():
        for info in keys_of(section):
            meaning = info.doc + (f" ({', '.join(c or 'empty' for c in info.choices)})" if info.choices else "")
            rows.append(f"| `{name}.{info.name}` | `{toml_value(info.default)}` | {info.unit} | {meaning} |")
    return "\n".join(rows)


def rendered(text: str) -> str:
    """A file's text with all its blocks made anew."""
    helps = commands()

    def block(match: re.Match[str]) -> str:
        what = match["what"]
        body = (
            config_table() if what == "config keys" else f"```text\n{helps[what.removeprefix('help: ')].rstrip()}\n```"
        )
        return f"<!-- {what} -->\n{body}\n<!-- end -->"

    return BLOCK.sub(block, text)


def main() -> None:
    """Write the blocks of all files anew."""
    for name in FILES:
        path = ROOT / name
        path.write_text(rendered(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
