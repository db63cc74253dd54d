"""A program's output within a time and a number of bytes.

Rules of this file: whatever the program does (hangs, floods, is missing, leaves children behind), the call ends in time
with what came until then and a word on what was wrong.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

_PIECE_BYTES = 65536
_ENVIRONMENT: Mapping[str, str] = {"LC_ALL": "C.UTF-8", "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": "", "PAGER": "cat"}


@dataclass(frozen=True, slots=True)
class Output:
    """What came; `error` is empty when the program ended well, `cut` when not all of its output is here."""

    data: bytes
    cut: bool = False
    error: str = ""


def run(
    argv: Sequence[str], *, limit_s: float, most_bytes: int, tail: bool = False, fine: Collection[int] = (0,)
) -> Output:
    """Standard output and error together; with `tail` the last bytes are kept, without the first.

    `fine` are the exit codes of an answer: some programs say with theirs what they have found.
    """
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **_ENVIRONMENT},
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        return Output(b"", error=f"{error.filename or argv[0]}: {error.strerror or error}")
    end_s = time.monotonic() + limit_s
    kept, cut, late = bytearray(), False, False
    assert process.stdout is not None  # noqa: S101 - a pipe was asked for
    with process.stdout, selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not late:
            left_s = end_s - time.monotonic()
            if left_s <= 0 or not selector.select(left_s):
                late = True
                break
            piece = os.read(process.stdout.fileno(), _PIECE_BYTES)
            if not piece:
                break
            if tail:
                kept += piece
                if len(kept) > 2 * most_bytes:
                    del kept[:-most_bytes]
                    cut = True
            elif len(kept) < most_bytes:
                kept += piece
    cut = cut or len(kept) > most_bytes
    data = bytes(kept[-most_bytes:] if tail else kept[:most_bytes])
    wrong = _end(process, 0 if late else max(0.0, end_s - time.monotonic()), fine)
    return Output(data, cut, f"stopped after {limit_s:g} s" if late else wrong)


def _end(process: subprocess.Popen[bytes], patience_s: float, fine: Collection[int]) -> str:
    """What is left of it is ended, its children too; returns what was wrong."""
    try:
        code = process.wait(patience_s)
        wrong = "" if code in fine else f"ended with {code}"
    except subprocess.TimeoutExpired:
        wrong = "closed its output and went on"
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return wrong
