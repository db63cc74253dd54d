"""The README's list of attacks names what the tests claim, no less and no more."""

from __future__ import annotations

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent


def claims(path: Path) -> set[tuple[str, str]]:
    """Code and action of every `books.refused(code, subject, action)` in a file."""
    found: set[tuple[str, str]] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "refused":
            code, _, action = (*map(ast.unparse, node.args), "'refuse enrollment'")[:3]
            found.add((ast.literal_eval(code), ast.literal_eval(action)))
    return found


def test_the_list_names_every_refusal_that_a_test_claims() -> None:
    text = (HERE / "README.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"\| `([A-Z_]+)` \| `([a-z ]+)`", text))
    assert set().union(*map(claims, HERE.glob("test_attacks_*.py"))) == listed
