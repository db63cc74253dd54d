"""Does the collector take what we send?

Rules of this file: thresholds with their reason, one function. A restart of the collector or of a router takes a
minute or two and is no news; ten minutes are an outage.
"""

from __future__ import annotations

from appliance.health.check import CheckName, Facts, Finding, Severity
from appliance.uplink import State

WARNING_S = 120.0
CRITICAL_S = 600.0


def uplink(facts: Facts) -> Finding:
    """Judged by the uplink's state and for how long it has been in it."""
    status = facts.uplink
    text = f"{status.state.value} for {status.in_state_s:.0f} s"
    if status.reason:
        text += f": {status.reason}"
    if status.state is State.HELD:
        return Finding(CheckName.UPLINK, Severity.CRITICAL, text, status.advice)
    if status.state in (State.RETRYING, State.STARTING):
        if status.in_state_s >= CRITICAL_S:
            return Finding(CheckName.UPLINK, Severity.CRITICAL, text, status.advice)
        if status.in_state_s >= WARNING_S:
            return Finding(CheckName.UPLINK, Severity.WARNING, text, status.advice)
    if status.state is State.SLOWED and status.in_state_s >= CRITICAL_S:
        return Finding(CheckName.UPLINK, Severity.WARNING, text, status.advice)
    return Finding(CheckName.UPLINK, Severity.OK, text)
