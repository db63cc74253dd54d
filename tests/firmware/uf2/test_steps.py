"""A step that fails shows what its program said; one that succeeds is told with its time."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from firmware.uf2.errors import StepError
from firmware.uf2.steps import last_line, run


def test_a_program_that_fails_is_shown_with_its_last_words(tmp_path: Path) -> None:
    said: list[str] = []
    script = "import sys; print('compiling'); sys.exit('no rule to make it')"
    with pytest.raises(StepError, match=r"ended with 1:\n(.|\n)*no rule to make it"):
        run(said.append, "compile", [sys.executable, "-c", script], tmp_path / "logs/compile")
    assert said == ["compile"]


def test_a_program_that_is_not_there_is_a_failed_step(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="compile: "):
        run(lambda _: None, "compile", [str(tmp_path / "nothing")], tmp_path / "compile")


def test_a_step_that_succeeds_is_told_twice(tmp_path: Path) -> None:
    said: list[str] = []
    run(said.append, "compile", [sys.executable, "-c", "print('fine')"], tmp_path / "compile")
    assert [text.split(":")[0] for text in said] == ["compile", "compile"]
    assert "done in" in said[1]


@pytest.mark.parametrize(
    ("octets", "line"),
    [
        (b"", ""),
        (b"one\ntwo\n", "two"),
        (b"one\n  \n\n", "one"),
        (b"\xff" * 10, "\ufffd" * 10),
        (b"x" * 1000, "x" * 100),
    ],
)
def test_what_a_program_is_at_is_its_last_line(tmp_path: Path, octets: bytes, line: str) -> None:
    (tmp_path / "log").write_bytes(octets)
    assert last_line(tmp_path / "log") == line
