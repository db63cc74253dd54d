"""The states of an update and what leads from one to the next: one table.

    idle ── fetching ── verified ── writing ── staged ── trial ── good
                                                  └────────┴───── fell back

Rules of this file: data, and one function over it. Until `verified` the daemon is at work, which may write to its own
folder only; from `writing` on the one-shot services of the box's root are. A power cut leaves any state as it is; what
follows is decided at the next start by what is on the disk, and no state needs the one before to have ended well.
"""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """Where an update stands."""

    IDLE = "idle"
    FETCHING = "fetching"
    VERIFIED = "verified"
    WRITING = "writing"
    STAGED = "staged"
    TRIAL = "trial"
    GOOD = "good"
    FELL_BACK = "fell back"


class Event(Enum):
    """What happens to it."""

    OFFERED = "the collector offers another version"
    WITHDRAWN = "the offer is gone, or what came is not to be believed"
    FETCHED = "the bundle is whole and its signature holds"
    BEGUN = "a bundle is about to be written to the spare slot"
    REFUSED = "the bundle is not installed"
    WRITTEN = "the spare slot is whole and may be started"
    STARTED = "the new version has been started"
    PASSED_OVER = "the old version was started instead"
    HEALTHY = "the new version is healthy"


S, E = State, Event

TRANSITIONS: dict[tuple[State, Event], State] = {
    # The daemon's part. An update that ended either way is followed by the next one.
    **{(state, E.OFFERED): S.FETCHING for state in (S.IDLE, S.GOOD, S.FELL_BACK, S.FETCHING, S.VERIFIED)},
    **{(state, E.WITHDRAWN): S.IDLE for state in (S.FETCHING, S.VERIFIED)},
    (S.FETCHING, E.FETCHED): S.VERIFIED,
    # The root's part. A bundle from a stick begins here, and so does one whose writing was cut off.
    **{(s, E.BEGUN): S.WRITING for s in (S.IDLE, S.FETCHING, S.VERIFIED, S.WRITING, S.STAGED, S.GOOD, S.FELL_BACK)},
    (S.WRITING, E.REFUSED): S.IDLE,
    (S.WRITING, E.WRITTEN): S.STAGED,
    # Written, and the power went before that was noted.
    (S.WRITING, E.STARTED): S.TRIAL,
    (S.WRITING, E.PASSED_OVER): S.IDLE,
    (S.STAGED, E.STARTED): S.TRIAL,
    (S.STAGED, E.PASSED_OVER): S.FELL_BACK,
    (S.TRIAL, E.STARTED): S.TRIAL,
    (S.TRIAL, E.PASSED_OVER): S.FELL_BACK,
    (S.TRIAL, E.HEALTHY): S.GOOD,
    # It was good once, and broke later.
    (S.GOOD, E.PASSED_OVER): S.FELL_BACK,
    (S.IDLE, E.PASSED_OVER): S.FELL_BACK,
    (S.FELL_BACK, E.PASSED_OVER): S.FELL_BACK,
    **{(s, E.STARTED): s for s in (S.IDLE, S.GOOD, S.FELL_BACK)},
    **{(s, E.HEALTHY): s for s in (S.IDLE, S.GOOD, S.FELL_BACK)},
}


def after(state: State, event: Event) -> State:
    """The state that follows.

    Raises:
        ValueError: the event cannot happen there: a fault of ours.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise ValueError(f"{event.name} in state {state.name}") from None
