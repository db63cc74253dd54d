"""What a spool folder holds after whatever happened to it: read, judged, and told; nothing is changed here.

Rules of this file: reads only, so that `verify` may use it beside a running daemon. The invariants it restores:

- Every whole record is kept. A number below the highest accepted one that no record bears is a named loss.
- **No sequence number is used twice.** `accepted` (a slot file) is written after the records of an append are durable
  and before the append returns, so it says how far numbers were given out even when the tail of the last segment is
  gone: then the sequence skips ahead behind it and the numbers in between are a loss `spool-damage`. Records above
  `accepted` come from an append that a crash kept from returning; they are whole, so they are kept and sent.
- Only when `accepted` itself is unreadable nobody knows how far the numbers went: a new epoch begins. The events of
  the epoch before are still sent first, under their own numbers.
- When `cursor` is unreadable, sending begins again at the first record there is: the collector knows what it has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from appliance.spool.losses import SPOOL_DAMAGE, spans, subtract
from appliance.spool.segment import Segment, inspect, list_segments
from appliance.spool.slot import Mark, read_slot_file
from appliance.spool.state import State, load_state

ACCEPTED_NAME = "accepted"
CURSOR_NAME = "cursor"
STATE_NAME = "state"
LOCK_NAME = "lock"


@dataclass(slots=True)
class Recovered:
    """`segments` are to be read, `disposable` ones hold nothing that is still to be sent."""

    accepted: Mark
    cursor: Mark
    segments: list[Segment]
    disposable: list[Segment]
    state: State
    newly_lost: int
    notes: list[str] = field(default_factory=list)


def recover(folder: Path, random_epoch: Callable[[], int]) -> Recovered:
    """Judge the folder.

    Raises:
        SpoolError: a file cannot be read at all (permission, input/output error).
    """
    notes: list[str] = []
    segments = [inspect(index, path) for index, path in list_segments(folder)]
    for segment in segments:
        notes.extend(f"{segment.path.name} at {d.offset}: {d.length} bytes: {d.what}" for d in segment.damages)
    accepted_file, cursor_file = read_slot_file(folder / ACCEPTED_NAME), read_slot_file(folder / CURSOR_NAME)
    state, sound = load_state(folder / STATE_NAME)
    if not sound:
        notes.append(f"{STATE_NAME} is damaged: reasons of losses and source marks are gone")
    full = [segment for segment in segments if not segment.empty]
    epochs = list(dict.fromkeys(segment.epoch for segment in full))

    if accepted_file is not None:
        epoch, seq, ordinal = accepted_file[1].epoch, accepted_file[1].seq, accepted_file[1].ordinal
    else:
        used = cursor_file is not None or bool(segments) or (folder / ACCEPTED_NAME).exists()
        known = {*epochs, cursor_file[1].epoch} if cursor_file is not None else set(epochs)
        epoch, seq, ordinal = _unused_epoch(random_epoch, known), 0, 0
        if used:
            notes.append(f"{ACCEPTED_NAME} is missing or damaged: a new epoch begins")
    if epoch in epochs:
        epochs.remove(epoch)
    epochs.append(epoch)
    seq = max([seq, *(segment.last_seq for segment in full if segment.epoch == epoch)])
    ordinal = max([ordinal, *(segment.last_ordinal for segment in full)])

    cursor = _cursor(cursor_file[1] if cursor_file else None, epochs, full, Mark(epoch, seq, ordinal))
    if cursor_file is None and full:
        notes.append(f"{CURSOR_NAME} is missing or damaged: sending begins at the oldest record")
    if cursor.epoch == epoch:
        seq = max(seq, cursor.seq)
    to_read = epochs[epochs.index(cursor.epoch) :]
    lost_before = state.lost_events
    _settle_losses(state, cursor, to_read, full, Mark(epoch, seq, ordinal))
    keep: list[Segment] = []
    disposable: list[Segment] = []
    for segment in segments:
        (keep if _has_unsent(segment, cursor, to_read, state) else disposable).append(segment)
    keep.sort(key=lambda segment: (to_read.index(segment.epoch), segment.index))
    newly_lost = state.lost_events - lost_before
    return Recovered(Mark(epoch, seq, ordinal), cursor, keep, disposable, state, newly_lost, notes)


def _unused_epoch(random_epoch: Callable[[], int], known: set[int]) -> int:
    epoch = random_epoch()
    while epoch in known:
        epoch = random_epoch()
    return epoch


def _cursor(stored: Mark | None, epochs: list[int], full: list[Segment], accepted: Mark) -> Mark:
    """Where reading begins: at the stored place if its epoch is still here, else at the first record there is."""
    if stored is not None and stored.epoch in epochs:
        return stored
    first = next((segment for segment in full if segment.epoch == epochs[0]), None)
    if first is None:
        return Mark(accepted.epoch, accepted.seq, 0)
    # A stored place in an epoch that is gone says that everything of it was sent: the next epoch begins at its first.
    return Mark(first.epoch, 0 if stored is not None else first.first_seq - 1, 0)


def _settle_losses(state: State, cursor: Mark, to_read: list[int], full: list[Segment], accepted: Mark) -> None:
    """Forget what is answered for, name what is missing."""
    for epoch in state.losses.epochs():
        if epoch not in to_read:
            state.losses.forget_epoch(epoch)
    state.losses.forget_to(cursor.epoch, cursor.seq)
    for epoch in to_read:
        mine = sorted((s for s in full if s.epoch == epoch), key=lambda segment: segment.first_seq)
        start = cursor.seq if epoch == cursor.epoch else 0
        end = accepted.seq if epoch == accepted.epoch else max(segment.last_seq for segment in mine)
        holes = subtract(start + 1, end, [(segment.first_seq, segment.last_seq) for segment in mine])
        for segment in mine:
            holes.extend((max(first, start + 1), last) for first, last in segment.missing if last > start)
        for first, last in holes:
            state.lose(epoch, first, last, SPOOL_DAMAGE)


def _has_unsent(segment: Segment, cursor: Mark, to_read: list[int], state: State) -> bool:
    """False also for a segment that was given up for room when a crash came before its file was removed."""
    if segment.empty or segment.epoch not in to_read:
        return False
    first = max(segment.first_seq, cursor.seq + 1) if segment.epoch == cursor.epoch else segment.first_seq
    return bool(subtract(first, segment.last_seq, spans(state.losses.of(segment.epoch))))
