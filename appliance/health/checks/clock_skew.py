"""Does the box's clock agree with the collector's?

Rules of this file: thresholds with their reason, one function. Ten seconds make correlation with other logs guesswork;
five minutes are where certificates and tokens begin to be refused.
"""

from __future__ import annotations

from appliance.health.check import CheckName, Facts, Finding, Severity

WARNING_MS = 10_000
CRITICAL_MS = 300_000


def clock_skew(facts: Facts) -> Finding:
    """Judged by the skew last measured, either way."""
    skew_ms = facts.uplink.clock_skew_ms
    if skew_ms is None:
        return Finding(CheckName.CLOCK_SKEW, Severity.OK, "not compared with the collector's clock yet")
    text = f"the clock is {abs(skew_ms) / 1000:.1f} s {'ahead of' if skew_ms > 0 else 'behind'} the collector's"
    if abs(skew_ms) >= CRITICAL_MS:
        return Finding(CheckName.CLOCK_SKEW, Severity.CRITICAL, text, "set the clock; check that NTP is reachable")
    if abs(skew_ms) >= WARNING_MS:
        return Finding(CheckName.CLOCK_SKEW, Severity.WARNING, text, "check that NTP is reachable")
    return Finding(CheckName.CLOCK_SKEW, Severity.OK, text)
