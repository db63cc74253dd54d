"""Can our clock be right, and does it agree with the collector's?

Rules of this file: one function. The Date of an HTTP answer has a resolution of a second; the limit is the health
check's: five minutes are where certificates and tokens begin to be refused.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from appliance.doctor.patient import Patient
from appliance.doctor.result import Result, State, failed, ok, skipped
from appliance.enroll.clock_floor import ClockFloor
from appliance.health.checks.clock_skew import CRITICAL_MS, WARNING_MS

_ADVICE = "set the clock; check that NTP is reachable: timedatectl"


def check(patient: Patient) -> Result:
    """Against what is over for sure, and the first collector that tells its time."""
    floor, now_ns = ClockFloor(patient.state_dir), patient.clock.wall_ns()
    if now_ns < floor.ns:
        came = f"the clock says {_day(now_ns)}; {_day(floor.ns)} ({floor.source}) is over"
        return failed(came, f"{_ADVICE}; without NTP: [sensor] set_clock = true takes the collector's signed time")
    for url in patient.urls:
        told = patient.ca_answer(url).headers.get("date", "")
        try:
            theirs_ns = int(parsedate_to_datetime(told).timestamp()) * 1_000_000_000
        except ValueError:
            continue
        skew_ms = (patient.clock.wall_ns() - theirs_ns) // 1_000_000
        text = f"{abs(skew_ms) // 1000} s {'ahead of' if skew_ms > 0 else 'behind'} the collector's clock"
        if abs(skew_ms) >= CRITICAL_MS:
            return failed(text, _ADVICE)
        return Result(State.WARNING, text, _ADVICE) if abs(skew_ms) >= WARNING_MS else ok(text)
    return skipped("no collector tells its time")


def _day(ns: int) -> str:
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).isoformat(timespec="seconds")
