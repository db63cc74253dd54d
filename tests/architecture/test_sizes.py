"""A file is one noun and one sitting: 150-250 lines, and over 400 only with the reason in its opening lines."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST_LINES = 400
SUFFIXES = (".py", ".rs", ".pyi", ".js", ".css", ".html")
LEFT_OUT = {"target", "node_modules", "vendor", ".venv", "build", "dist"}


def sources() -> list[Path]:
    folders = ("appliance", "collector_client", "tests", "image", "firmware")
    return [
        path
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in SUFFIXES and path.is_file() and not LEFT_OUT & set(path.relative_to(ROOT).parts)
    ]


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_is_one_sitting(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    says_why = any("Over 400 lines:" in line for line in lines[:20])
    assert len(lines) <= MOST_LINES or says_why, f"{len(lines)} lines; split it by noun"


@pytest.mark.parametrize(
    "path", [p for p in sources() if p.suffix in (".py", ".rs")], ids=lambda p: str(p.relative_to(ROOT))
)
def test_a_file_opens_with_its_rules(path: Path) -> None:
    text = path.read_text(encoding="utf-8").lstrip()
    if text and path.name != "__init__.py":
        opening = ('"""', "//!", "#!") if path.suffix == ".py" else ("//!", "#![")
        assert text.startswith(opening), "no opening docstring"
