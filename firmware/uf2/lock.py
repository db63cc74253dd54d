"""One build at a time in one cache: two terminals may type `make firmware` together.

Rules of this file: the lock ends with the process, however that ends.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from firmware.uf2.steps import Tell, step


@contextmanager
def alone(cache: Path, tell: Tell) -> Iterator[None]:
    """Hold the cache, after whoever has it."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with step(tell, "another build is at work in this cache; waiting for it"):
                fcntl.flock(file, fcntl.LOCK_EX)
        yield
