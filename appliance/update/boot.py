"""A start of the box is judged: the record and the names on the ESP are brought to what `judge.py` says.

Rules of this file: I/O around pure decisions. The record is written before the names, so that a try is never given
back twice for one boot; a name that was not changed is changed at the next start.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from appliance.update.install import Box
from appliance.update.judge import Judgement, Seen, bad, begin, end, good
from appliance.update.record import Record

_Judge: TypeAlias = Callable[[Record], Judgement]


def begin_boot(box: Box, seen: Seen) -> Record:
    """Early in a start.

    Raises:
        DiskFault: record or ESP cannot be written.
    """
    return _apply(box, lambda record: begin(record, seen))


def boot_is_good(box: Box, seen: Seen) -> Record:
    """The health check is content.

    Raises:
        DiskFault: record or ESP cannot be written.
    """
    return _apply(box, lambda record: good(record, seen, box.standing.floor))


def boot_is_bad(box: Box, seen: Seen, words: str) -> bool:
    """The health check is not; whether the box is to start again.

    Raises:
        DiskFault: the record cannot be written.
    """
    with box.memory.alone():
        judgement, again = bad(box.memory.read(), seen, words)
        box.memory.write(judgement.record)
    return again


def end_boot(box: Box, seen: Seen) -> Record:
    """The box is being shut down in order.

    Raises:
        DiskFault: record or ESP cannot be written.
    """
    return _apply(box, lambda record: end(record, seen))


def _apply(box: Box, judge: _Judge) -> Record:
    with box.memory.alone():
        record, renames = judge(box.memory.read())
        box.memory.write(record)
        for old, new in renames:
            box.esp.rename(old, new)
    return record
