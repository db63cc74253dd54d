"""Enrollment on a box whose clock may be wrong: by a clock that can be right, and once more by the collector's.

Rules of this file: the order of the two tries; what each does is `client.py`'s and `timekeeping.py`'s.
"""

from __future__ import annotations

from collections.abc import Callable

from appliance.clock import Clock, CorrectedClock
from appliance.enroll.client import Enrolled, EnrollmentPlan, enroll
from appliance.enroll.timekeeping import ClockBehindError, TimeSource, corrected, working_clock
from appliance.errors import ApplianceError
from appliance.identity import IdentityFolder


def enroll_in_time(
    plan: EnrollmentPlan,
    folder: IdentityFolder,
    clock: Clock,
    source: TimeSource,
    *,
    on_step: Callable[[str], None] = lambda _: None,
) -> Enrolled:
    """As `enroll`. A clock that can be right is asked first, so that a box with a good one asks nobody for the time.

    Raises:
        ClockBehindError: the clock cannot be right, and no collector tells the time.
        ApplianceError: as `enroll`.
    """
    clock = working_clock(clock, source, on_step)
    try:
        return enroll(plan, folder, clock, on_step=on_step)
    except ApplianceError as error:
        if isinstance(clock, CorrectedClock) or not _is_about_dates(error):
            raise
        on_step(f"{error}; asking the collector for the time")
        reason = error
    try:
        clock = corrected(clock, source, on_step)
    except ClockBehindError:
        raise reason from None
    return enroll(plan, folder, clock, on_step=on_step)


def _is_about_dates(error: ApplianceError) -> bool:
    """Whether a wrong clock may be the reason: a certificate was found out of date."""
    return any(getattr(one, "about_dates", False) for one in (error, error.__cause__))
