"""The journal gets the severity of every line; a terminal gets the word."""

from __future__ import annotations

import io
import logging
import os
from pathlib import Path

import pytest

from appliance.daemon.journal import log_handler


def said(path: Path, level: int, text: str, *, journal: bool, fault: bool = False) -> str:
    with path.open("w", encoding="utf-8") as stream:
        found = os.fstat(stream.fileno())
        handler = log_handler(stream, {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}" if journal else "1:2"})
        error = None
        if fault:
            try:
                raise RuntimeError("first\nsecond")
            except RuntimeError as caught:
                error = (type(caught), caught, caught.__traceback__)
        handler.emit(logging.LogRecord("vedette", level, "", 0, text, None, error))
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("level", "number"), [(logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (10, 7)]
)
def test_a_line_for_the_journal_has_its_priority(tmp_path: Path, level: int, number: int) -> None:
    assert said(tmp_path / "out", level, "text", journal=True) == f"<{number}>text\n"


def test_every_line_of_a_traceback_has_it(tmp_path: Path) -> None:
    lines = said(tmp_path / "out", logging.ERROR, "failed", journal=True, fault=True).splitlines()
    assert len(lines) > 3
    assert all(line.startswith("<3>") for line in lines)


def test_another_file_than_the_journal_gets_words(tmp_path: Path) -> None:
    assert said(tmp_path / "out", logging.WARNING, "text", journal=False) == "WARNING text\n"


def test_a_stream_without_a_file_gets_words() -> None:
    stream = io.StringIO()
    log_handler(stream, {"JOURNAL_STREAM": "1:2"}).emit(logging.LogRecord("v", 20, "", 0, "text", None, None))
    assert stream.getvalue() == "INFO text\n"
