"""Was this box, or this sensor, started anew without anybody wanting it?

Rules of this file: one function. It stays a warning as long as the start is the last one: a box that a watchdog reset
at night must still say so in the morning.
"""

from __future__ import annotations

from appliance.health.check import CheckName, Facts, Finding, Severity
from appliance.health.start import Start

_ADVICE = "ask the box for vedette support-bundle if it comes again"


def start(facts: Facts) -> Finding:
    """The box's start and the sensor's, in one finding."""
    told = [
        f"{who} {_words(reason)}"
        for who, reason in (("box:", facts.starts.box), ("sensor:", facts.starts.sensor))
        if reason is not None
    ]
    unmeant = [r for r in (facts.starts.box, facts.starts.sensor) if r is not None and not r.as_meant]
    text = "; ".join(told) or "nothing is noted about starts"
    if unmeant:
        return Finding(CheckName.START, Severity.WARNING, text, _ADVICE)
    return Finding(CheckName.START, Severity.OK, text)


def _words(reason: Start) -> str:
    return f"{reason.kind} ({reason.text})" if reason.text else reason.kind
