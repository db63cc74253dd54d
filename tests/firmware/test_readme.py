"""The README's states and times are made from the policy and compared. Run as `python -m tests.firmware.test_readme` to write.

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
MICROPYTHON_HAS = {"os", "struct", "hashlib", "binascii", "collections", "sys"}
BOARD_HAS = MICROPYTHON_HAS | {"machine", "micropython", "time", "gc"}
SOURCES = [
    path for folder in ("supervisor", "loader", "lib", "board") for path in sorted((FIRMWARE / folder).rglob("*.py"))
]


def states() -> str:
    """The table of states as a diagram."""
    arrows: dict[tuple[int, int], list[str]] = {}
    for (state, event), (after, _) in policy.TABLE.items():
        if event not in (policy.UNPAIRED, policy.BEGIN, policy.BEGIN_UNPAIRED) and state != after:
            arrows.setdefault((state, after), []).append(policy.EVENTS[event])
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> BOOT: start", "    [*] --> LOCKOUT: start, unpaired"]
    lines += [
        f"    {NAMES[state]} --> {NAMES[after]}: {', '.join(events)}" for (state, after), events in arrows.items()
    ]
    return "\n".join([*lines, "```"])


def times() -> str:
    """The times, in seconds."""
    return "\n".join(f"| {getattr(policy, name) // 1000} s | {what} |" for name, what in TIMES.items())


def rendered(text: str) -> str:
    """The text with both blocks made anew."""
    return BLOCK.sub(lambda match: f"<!-- {match[1]} -->\n{globals()[match[1]]()}\n<!-- end -->", text)


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
            names |= (
                {node.module or ""}
                if node.module != "appliance.wire"
                else {f"appliance.wire.{a.name}" for a in node.names}
            )
    return names


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(FIRMWARE)))
def test_a_file_is_at_most_200_lines_and_imports_what_the_board_has(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 200
    part = path.relative_to(FIRMWARE).parts[0]
    wire = {"appliance.wire.mcu_link", "appliance.wire.mcu_words"}
    allowed = {
        "supervisor": MICROPYTHON_HAS | wire | {"senml", "loader.trial"},
        "loader": MICROPYTHON_HAS,
        "lib": MICROPYTHON_HAS,
        "board": BOARD_HAS
        | {"board", "start", "pins", "release", "supervisor.loop", "loader.records", "loader.trial", "loader.folder"},
    }[part]
    if path.name in ("loop.py", "commands.py"):
        allowed = (
            allowed | {f"supervisor.{name.stem}" for name in (FIRMWARE / "supervisor").glob("*.py")} | {"supervisor"}
        )
    assert imported(path) <= allowed


if __name__ == "__main__":
    README.write_text(rendered(README.read_text(encoding="utf-8")), encoding="utf-8")
