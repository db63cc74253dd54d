"""Is there room on the disk that carries the spool?

Rules of this file: thresholds with their reason, one function. Below `CRITICAL_BYTES` the spool cannot take a segment
of the default size, so alerts are about to be refused.
"""

from __future__ import annotations

from appliance.health.check import CheckName, Facts, Finding, Severity

CRITICAL_BYTES = 16 << 20
WARNING_BYTES = 256 << 20


def disk_space(facts: Facts) -> Finding:
    """Judged by free bytes: a percentage says nothing on both a 4 GB stick and a 4 TB disk."""
    free = facts.host.disk_free_bytes
    text = f"{free >> 20} MiB free on the spool's disk ({facts.host.disk_percent:.0f} % used)"
    if free < CRITICAL_BYTES:
        return Finding(CheckName.DISK_SPACE, Severity.CRITICAL, text, "free space now: new alerts are being refused")
    if free < WARNING_BYTES:
        return Finding(CheckName.DISK_SPACE, Severity.WARNING, text, "free space, or lower spool.max_mib")
    return Finding(CheckName.DISK_SPACE, Severity.OK, text)
