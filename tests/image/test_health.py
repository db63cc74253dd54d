"""The health check gives a verdict whatever happens, and sticks are looked at by one program at a time."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from image.root import OVERLAY
from tests.image.test_box import first_boot, program, support

health = program("boot_health")


def test_a_check_that_breaks_is_a_fault_and_not_the_end_of_the_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks() -> str:
        raise OSError(5, "Input/output error")

    assert health.fault_of(breaks) == "breaks: OSError(5, 'Input/output error')"
    monkeypatch.setattr(health, "CHECKS", (breaks, lambda: "no tap"))
    said: list[tuple[str, ...]] = []
    monkeypatch.setattr(
        health, "_run", lambda *argv: said.append(argv) or health.subprocess.CompletedProcess(argv, 1, "", "")
    )
    monkeypatch.setattr(health, "version", lambda: "1")
    assert health.main() == 1
    assert said[0][:3] == ("vedette", "boot", "bad")
    assert "Input/output error" in said[0][-1] and said[0][-1].endswith("no tap")  # noqa: PT018


def test_a_program_that_hangs_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "PROGRAM_S", 0.05)
    ended = health._run(sys.executable, "-c", "import time; time.sleep(60)")
    assert (ended.returncode, ended.stderr[:7]) == (1, "nothing")


def test_all_who_look_at_sticks_wait_for_each_other() -> None:
    updates = (Path(__file__).parents[2] / "appliance/update/stick.py").read_text(encoding="utf-8")
    named = re.findall(r'LOCK = Path\("([^"]+)"\)', updates)
    assert named == [str(first_boot.LOCK)] == [str(support.LOCK)]
    assert (OVERLAY / "usr/lib/tmpfiles.d/vedette.conf").is_file()
