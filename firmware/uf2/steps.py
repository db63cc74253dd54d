"""Steps of a build, each told with its time; a long one says every quarter of a minute what it is doing.

Rules of this file: what a program says goes to the step's log and is shown when the program fails. It decides nothing.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from firmware.uf2.errors import StepError

Tell = Callable[[str], None]

TICK_S = 15
STEP_TIMEOUT_S = 3600
_SHOWN_LINES = 40


def last_line(log: Path | None) -> str:
    """The last thing a program said, cut to a screen's width; empty when there is nothing."""
    if log is None or not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 400))
        lines = file.read().decode(errors="replace").splitlines()
    said = [line.strip() for line in lines if line.strip()]
    return said[-1][:100] if said else ""


@contextmanager
def step(tell: Tell, name: str, log: Path | None = None) -> Iterator[None]:
    """Tell a step's beginning, what it is at while it lasts, and its time when it has succeeded."""
    started, over = time.monotonic(), threading.Event()

    def watch() -> None:
        while not over.wait(TICK_S):
            tell(f"{name}: at work for {time.monotonic() - started:.0f} s  {last_line(log)}".rstrip())

    tell(name)
    watcher = threading.Thread(target=watch, name="progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
    tell(f"{name}: done in {time.monotonic() - started:.1f} s")


def run(tell: Tell, name: str, argv: Sequence[str], log: Path) -> None:
    """Run one program as a step.

    Raises:
        StepError: it could not be started, ended with anything but 0, or did not end.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with step(tell, name, log), log.open("wb") as file:
        try:
            ended = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                check=False,
                timeout=STEP_TIMEOUT_S,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise StepError(f"{name}: {error}") from error
        if ended.returncode:
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            raise StepError(
                f"{name}: {argv[0]} ended with {ended.returncode}:\n" + "\n".join(lines[-_SHOWN_LINES:]),
                advice=f"All it said is in {log}.",
            )
