"""The collector's README says what the code does: its keys and refusals are made from the code and compared.

Run as `python -m tests.collector_client.test_readme` to write the two tables anew.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from appliance.wire.codes import SessionCode
from collector_client.config import SECTIONS, toml_value

README = Path(__file__).parents[2] / "collector_client" / "README.md"
BLOCK = re.compile(r"<!-- (collector keys|refusals) -->\n.*?<!-- end -->", re.DOTALL)


def keys_table() -> str:
    """Every key of collector.toml."""
    rows = ["| key | default | meaning |", "| --- | --- | --- |"]
    for name, section in SECTIONS.items():
        rows += [
            f"| `{name}.{field.name}` | `{toml_value(field.default)}` | {field.metadata['doc']} |"
            for field in dataclasses.fields(section)
        ]
    return "\n".join(rows)


def refusals_table() -> str:
    """Every code of the session."""
    rows = ["| code | HTTP | meaning | what to do |", "| --- | --- | --- | --- |"]
    rows += [f"| `{code}` | {code.status} | {code.doc} | {code.do} |" for code in SessionCode]
    return "\n".join(rows)


def rendered(text: str) -> str:
    """The text with both tables made anew."""
    tables = {"collector keys": keys_table, "refusals": refusals_table}
    return BLOCK.sub(lambda match: f"<!-- {match[1]} -->\n{tables[match[1]]()}\n<!-- end -->", text)


def test_keys_and_refusals_in_the_readme_are_current() -> None:
    text = README.read_text(encoding="utf-8")
    assert len(BLOCK.findall(text)) == 2
    assert text == rendered(text), "type: python -m tests.collector_client.test_readme"


def test_every_key_says_what_it_is() -> None:
    for section in SECTIONS.values():
        for field in dataclasses.fields(section):
            assert field.metadata["doc"], field.name


if __name__ == "__main__":
    README.write_text(rendered(README.read_text(encoding="utf-8")), encoding="utf-8")
