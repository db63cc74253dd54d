"""The README's states and times are made from the policy and compared; run as a module (`-m`), this writes them.

Also here: what the firmware's files may import, and how long they may be.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

FIRMWARE = Path(__file__).parents[2] / "firmware"
sys.path.append(str(FIRMWARE))

from supervisor import policy  # noqa: E402

README = FIRMWARE / "README.md"
BLOCK = re.compile(r"<!-- (states|times) -->\n.*?<!-- end -->", re.DOTALL)
NAMES = ("OFF", "BOOT", "UP", "WARN", "HOLD", "DRAIN", "CYCLE", "LOCKOUT")
TIMES = {
    "BOOT_MS": "for the first beat after a start",
    "BEAT_MS": "without a beat, then WARN",
    "WARN_MS": "in which a beat still saves the host, then CYCLE",
    "DRAIN_MS": "for an orderly end before a cycle that the host has asked for",
    "OFF_MS": "without power in a cycle",
    "SUPPLY_MS": "at most for a good supply before power comes back anyway",
    "HOLD_MS": "at most of a HOLD",
    "STEADY_MS": "of beats until failures are forgotten and a firmware on trial is good",
}

FOLDERS = ("supervisor", "loader", "lib", "board")
SOURCES = [path for folder in FOLDERS for path in sorted((FIRMWARE / folder).rglob("*.py"))]
MICROPYTHON_HAS = {"os", "struct", "hashlib", "binascii", "collections", "sys"}
BOARD_HAS = MICROPYTHON_HAS | {"machine", "micropython", "time", "gc"}
WIRE = {"appliance.wire.mcu_link", "appliance.wire.mcu_words"}
LOADER = {"loader.records", "loader.trial", "loader.folder"}
ALLOWED = {
    "supervisor": MICROPYTHON_HAS | WIRE | {"senml", "loader.trial"},
    "loader": MICROPYTHON_HAS,
    "lib": MICROPYTHON_HAS,
    "board": BOARD_HAS | LOADER | {"board", "start", "pins", "release", "supervisor.loop"},
}
SEE_ALL_PARTS = ("loop.py", "commands.py")


def states() -> str:
    """The table of states as a diagram."""
    arrows: dict[tuple[int, int], list[str]] = {}
    for (state, event), (after, _) in policy.TABLE.items():
        if event not in (policy.UNPAIRED, policy.BEGIN, policy.BEGIN_UNPAIRED) and state != after:
            arrows.setdefault((state, after), []).append(policy.EVENTS[event])
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> BOOT: start", "    [*] --> LOCKOUT: start, unpaired"]
    for (state, after), events in arrows.items():
        lines.append(f"    {NAMES[state]} --> {NAMES[after]}: {', '.join(events)}")
    return "\n".join([*lines, "```"])


def times() -> str:
    """The times, in seconds."""
    rows = [f"| {getattr(policy, name) // 1000} s | {what} |" for name, what in TIMES.items()]
    return "\n".join(["| time | what |", "| --- | --- |", *rows])


def rendered(text: str) -> str:
    """The text with both blocks made anew."""
    blocks = {"states": states, "times": times}
    return BLOCK.sub(lambda match: f"<!-- {match[1]} -->\n{blocks[match[1]]()}\n<!-- end -->", text)


def test_states_and_times_in_the_readme_are_those_of_the_policy() -> None:
    text = README.read_text(encoding="utf-8")
    assert len(BLOCK.findall(text)) == 2
    assert text == rendered(text), "type: python -m tests.firmware.test_readme"


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= inside & WIRE or {node.module or ""}
    return names


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(FIRMWARE)))
def test_a_file_is_at_most_200_lines_and_imports_what_the_board_has(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 200
    allowed = ALLOWED[path.relative_to(FIRMWARE).parts[0]]
    if path.name in SEE_ALL_PARTS:
        allowed = allowed | {f"supervisor.{name.stem}" for name in SOURCES} | {"supervisor"}
    assert imported(path) <= allowed


if __name__ == "__main__":
    README.write_text(rendered(README.read_text(encoding="utf-8")), encoding="utf-8")
