"""The documentation says what the code does: help texts, commands and configuration keys are compared, not trusted."""

from __future__ import annotations

import re

import pytest

from appliance.config.keys import keys_of
from appliance.config.sections import SECTIONS
from tests.architecture.docs import FILES, ROOT, commands, rendered

READMES = {name: (ROOT / name).read_text(encoding="utf-8") for name in FILES}


@pytest.mark.parametrize("name", FILES)
def test_blocks_made_from_code_are_current(name: str) -> None:
    assert READMES[name] == rendered(READMES[name]), "type: make docs"


@pytest.mark.parametrize("command", [c for c in sorted(commands()) if " " in c])
def test_every_command_is_documented(command: str) -> None:
    side = "appliance/README.md" if command.startswith("vedette ") else "collector_client/README.md"
    assert f"<!-- help: {command} -->" in READMES[side] or any(c.startswith(command + " ") for c in commands()), (
        f"{command} has no help block in {side}"
    )


@pytest.mark.parametrize("section", SECTIONS)
def test_every_configuration_key_says_what_it_is(section: str) -> None:
    for info in keys_of(SECTIONS[section]):
        assert info.doc, f"{section}.{info.name} has no line of documentation"
        assert not info.name.endswith(("_s", "_ms", "_mib", "_kib")) or info.unit, f"{section}.{info.name} has no unit"


def test_every_program_a_make_target_runs_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    modules = [name.replace(".", "/") + ".py" for name in re.findall(r"\$\(PY\) -m (tests\.[\w.]+)", makefile)]
    scripts = re.findall(r"\$\(PY\) ([\w/]+\.py)", makefile) + re.findall(r"@(\.ci/\w+)", makefile)
    assert modules
    assert scripts
    assert [path for path in modules + scripts if not (ROOT / path).is_file()] == []


def test_every_make_target_says_what_it_does() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = [line.split(":", 1)[1].strip() for line in makefile.splitlines() if line.startswith(".PHONY:")]
    for target in targets:
        assert any(line.startswith(f"{target}:") and "## " in line for line in makefile.splitlines()), (
            f"make {target} has no line in `make help`"
        )
