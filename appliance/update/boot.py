"""A start of the box is judged: the record and the names on the ESP are brought to what `judge.py` says.

Rules of this file: I/O around pure decisions. The record is written before the names, so that a try is never given
back twice for one boot; a name that was not changed is changed at the next start.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import TypeVar

from appliance.update.errors import DiskFault
from appliance.update.install import Box
from appliance.update.judge import Judgement, Seen, bad, begin, end, gives_back, good
from appliance.update.record import Record

_T = TypeVar("_T")


def begin_boot(box: Box, seen: Seen) -> Record:
    """Early in a start.

    Raises:
        DiskFault: record or ESP cannot be written.
    """
    with box.memory.alone():
        return _apply(box, begin(box.memory.read(), seen))


def boot_is_good(box: Box, seen: Seen) -> Record:
    """The health check is content.

    Raises:
        DiskFault: record or ESP cannot be written.
    """
    with box.memory.alone():
        return _apply(box, good(box.memory.read(), seen, box.standing.floor))


def boot_is_bad(box: Box, seen: Seen, words: str, on_fault: Callable[[DiskFault], None] = lambda _: None) -> bool:
    """The health check is not; whether the box is to start again. What cannot be read or written goes to `on_fault`."""
    with ExitStack() as stack:

        def tried(work: Callable[[], _T]) -> _T | None:
            try:
                return work()
            except DiskFault as error:
                on_fault(error)
                return None

        tried(lambda: stack.enter_context(box.memory.alone()))
        entries = tried(box.esp.entries)
        record = tried(box.memory.read)
        (judged, renames), again = bad(record or Record(), replace(seen, entries=entries or ()), words)
        if record is not None:
            tried(lambda: box.memory.write(judged))
        try:
            for old, new in renames:
                box.esp.rename(old, new)
        except DiskFault as error:
            on_fault(error)
            # It has no tries, so that a restart would not lead to it.
            return False
    return again


def end_boot(box: Box, seen: Seen) -> Record:
    """The box is being shut down in order. When the ESP cannot be read, the next start gives the try back.

    Raises:
        DiskFault: record or ESP cannot be written.
    """
    with box.memory.alone():
        record = box.memory.read()
        if gives_back(record, seen):
            try:
                seen = replace(seen, entries=box.esp.entries())
            except DiskFault:
                return record
        return _apply(box, end(record, seen))


def _apply(box: Box, judgement: Judgement) -> Record:
    """The caller has the lock."""
    box.memory.write(judgement.record)
    for old, new in judgement.renames:
        box.esp.rename(old, new)
    return judgement.record
