"""What a start of the box says about the one before it and about the update on trial; and what follows.

    begin   early in each start: why did the last one end, was the update's version passed over
    good    the health check is content: all tries again, the floor rises
    bad     it is not: start again while that can lead somewhere, else stay
    end     an orderly end: a boot that nobody has judged gives its try back; what could not is done at the next begin

Rules of this file: pure. A fall back always has a reason: what was said last, or what can be known when nothing was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from appliance.update.entries import MAX_EXCUSED, Entry
from appliance.update.record import Boot, Record
from appliance.update.states import Event, State, after
from appliance.update.trust import highest
from appliance.wire.bundle import version_key
from appliance.wire.fields import plain

GOOD, BAD = "good", "bad"
IN_ORDER = "in order"
PLANNED = "planned"
"""The word of an orderly end in `Seen.ended`: it is there also when nobody could note `IN_ORDER`."""

_FAULTS = ("watchdog", "panic")
"""Ends that speak against what ran; a power cut does not."""
_UNDER_WAY = (State.WRITING, State.STAGED, State.TRIAL)


@dataclass(frozen=True, slots=True)
class Seen:
    """What can be seen at a start, outside of the record."""

    now_ns: int
    boot_id: str
    version: str
    """Of the image that runs."""
    entries: tuple[Entry, ...]
    ended: str = ""
    """What the boot before has left of its end, in one word (see image/overlay/usr/lib/vedette/start_reason)."""
    ended_words: str = ""


class Judgement(NamedTuple):
    """The record to keep, and entries to be renamed: (as it is, as it shall be)."""

    record: Record
    renames: tuple[tuple[Entry, Entry], ...] = ()


def begin(record: Record, seen: Seen) -> Judgement:
    """A boot has come as far as /var."""
    if record.boot.boot_id == seen.boot_id:
        return Judgement(record)
    last = record.boot
    why = why_ended(last, seen)
    record = _tell_restart(record, last, why, seen)
    expected = record.version if record.state in _UNDER_WAY else record.good_version
    renames: tuple[tuple[Entry, Entry], ...] = ()
    if not expected or seen.version == expected:
        state = after(record.state, Event.STARTED)
        trials = record.trials + 1 if state is State.TRIAL else 0
        if record.state in _UNDER_WAY and not _innocent(last, seen):
            record = replace(record, reason=why or record.reason)
        record = replace(record, state=state, trials=trials)
        if last.version == seen.version and _innocent(last, seen):
            record, renames = _excuse(record, seen)
    else:
        record = _passed_over(record, expected, why, seen)
    return Judgement(replace(record, boot=Boot(boot_id=seen.boot_id, version=seen.version)), renames)


def good(record: Record, seen: Seen, floor: str) -> Judgement:
    """The boot is good; `floor` is that of the image that runs."""
    if record.state is State.TRIAL:
        record = record.with_outcome("good", seen.version, "", seen.now_ns, record.update_id)
        record = replace(record, reason="", since_ns=seen.now_ns)
    record = replace(
        record,
        state=after(record.state, Event.HEALTHY) if record.state is not State.STAGED else record.state,
        good_version=seen.version,
        floor=highest(floor, record.floor or floor),
        excused=0,
        boot=replace(record.boot, verdict=GOOD),
    )
    ours = _entry(seen, seen.version)
    return Judgement(record, ((ours, ours.armed()),) if ours is not None and ours != ours.armed() else ())


def bad(record: Record, seen: Seen, words: str) -> tuple[Judgement, bool]:
    """The boot is bad, and whether the box is to start again: only while that can lead to another version or try.

    A downgrade leaves the newer version without tries: it gets them back when the older one has used its own up.
    """
    record = replace(record, boot=replace(record.boot, verdict=BAD, words=plain(words)))
    on_trial = record.state in _UNDER_WAY and record.version == seen.version
    if not seen.entries:
        # The ESP cannot be read. An update is always counted: the boot loader, which can, leaves it.
        return Judgement(record), on_trial
    ours = _entry(seen, seen.version)
    if ours is None or ours.left is None:
        # Not counted: the first starts of an installed box, with nothing to fall back to.
        return Judgement(record), False
    others = [entry for entry in seen.entries if entry.version != seen.version]
    if ours.left > 0 or any(not entry.exhausted for entry in others):
        return Judgement(record), True
    # Once for each update: what is started then is not the version on trial.
    if others and on_trial:
        newest = max(others, key=lambda entry: version_key(entry.version))
        return Judgement(record, ((newest, newest.armed()),)), True
    return Judgement(record), False


def gives_back(record: Record, seen: Seen) -> bool:
    """Whether an end now gives a try back: only then must the ESP be looked at."""
    return record.boot.boot_id == seen.boot_id and not record.boot.verdict


def end(record: Record, seen: Seen) -> Judgement:
    """The box is about to be off, in order."""
    renames: tuple[tuple[Entry, Entry], ...] = ()
    if gives_back(record, seen):
        record, renames = _excuse(record, seen)
    return Judgement(replace(record, boot=replace(record.boot, end=IN_ORDER)), renames)


def why_ended(last: Boot, seen: Seen) -> str:
    """Why the boot before this one ended; empty: in order, or there was none."""
    if not last.boot_id:
        return ""
    if last.verdict == BAD:
        return f"not healthy: {last.words}"
    if seen.ended in _FAULTS:
        return f"{seen.ended}: {seen.ended_words or 'no words were left'}"
    if last.words:
        return last.words
    if last.end or seen.ended == PLANNED:
        return ""
    return "it ended without a word: the power went, or it was reset"


def _innocent(last: Boot, seen: Seen) -> bool:
    """Whether the last boot ended before it was judged, without anything that speaks against its version.

    One whose end could be noted has its try back already.
    """
    unjudged = bool(last.boot_id) and not last.verdict and not last.end and not last.words
    return unjudged and seen.ended not in _FAULTS


def _excuse(record: Record, seen: Seen) -> tuple[Record, tuple[tuple[Entry, Entry], ...]]:
    """Give a try back, if there is one to give and it was not done too often."""
    ours = _entry(seen, seen.version)
    if ours is None or ours == ours.given_back() or record.excused >= MAX_EXCUSED:
        return record, ()
    return replace(record, excused=record.excused + 1), ((ours, ours.given_back()),)


def _tell_restart(record: Record, last: Boot, why: str, seen: Seen) -> Record:
    """A good boot that ended otherwise than in order is told too: nobody was there to see it."""
    if last.verdict == GOOD and why:
        return record.with_outcome("restarted", last.version, why, seen.now_ns)
    return record


def _passed_over(record: Record, expected: str, why: str, seen: Seen) -> Record:
    state = after(record.state, Event.PASSED_OVER)
    if state is State.IDLE:
        return replace(record, state=state, reason="the power went while it was being written", since_ns=seen.now_ns)
    reason = (why if record.boot.version == expected else "") or record.reason
    entry = _entry(seen, expected)
    unseen = entry.done - record.trials if entry is not None and record.state in _UNDER_WAY else 0
    if entry is None:
        reason = reason or "its kernel file is gone"
    elif unseen > 0:
        early = f"{unseen} starts ended before /var was there (kernel, initrd, TPM or disk)"
        reason = f"{reason}; {early}" if reason else early
    reason = reason or "the boot loader passed it over"
    under_way = record.state in _UNDER_WAY
    record = record.with_outcome("fell-back", expected, reason, seen.now_ns, record.update_id if under_way else 0)
    # What runs now is what a later fall back is measured by.
    return replace(
        record,
        state=state,
        version=expected,
        reason=plain(reason),
        since_ns=seen.now_ns,
        good_version=seen.version,
        trials=0,
        excused=0,
    )


def _entry(seen: Seen, version: str) -> Entry | None:
    return _of(seen.entries, version)


def _of(entries: Sequence[Entry], version: str) -> Entry | None:
    return next((entry for entry in entries if entry.version == version), None)
