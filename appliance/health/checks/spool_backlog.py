"""Do alerts pile up on the box?

Rules of this file: thresholds with their reason, one function. Half of the budget is a warning while there is still
as much time left as has passed; nine tenths means that the oldest alerts will soon be dropped.
"""

from __future__ import annotations

from appliance.health.check import CheckName, Facts, Finding, Severity

WARNING_SHARE = 0.5
CRITICAL_SHARE = 0.9
WARNING_AGE_S = 15 * 60
_ADVICE = "see the uplink's finding; the oldest alerts are dropped when the spool is full"


def spool_backlog(facts: Facts) -> Finding:
    """Judged by the share of the budget and by the age of the oldest alert."""
    depth = facts.spool
    share = depth.bytes / facts.spool_max_bytes if facts.spool_max_bytes else 0.0
    age_s = 0 if depth.oldest_ts_ns is None else max(0, facts.now_ns - depth.oldest_ts_ns) // 1_000_000_000
    text = f"{depth.events} alerts wait, the oldest for {age_s} s; {share:.0%} of the spool's budget"
    if facts.spool_lost_events:
        text += f"; {facts.spool_lost_events} lost since the spool was made"
    if share >= CRITICAL_SHARE:
        return Finding(CheckName.SPOOL_BACKLOG, Severity.CRITICAL, text, _ADVICE)
    if share >= WARNING_SHARE or age_s >= WARNING_AGE_S:
        return Finding(CheckName.SPOOL_BACKLOG, Severity.WARNING, text, _ADVICE)
    return Finding(CheckName.SPOOL_BACKLOG, Severity.OK, text)
