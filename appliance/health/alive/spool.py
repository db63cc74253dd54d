"""Can anything be written where the spool is?

Rules of this file: one function. No room is not dead: the spool drops its oldest and goes on, and a restart would make
no room. A write that never ends, a disk that became read-only and a spool that shut itself after a failed write are.
"""

from __future__ import annotations

from appliance.health.alive.sign import Part, Sign, Vitals, by_time


def spool(vitals: Vitals) -> Sign:
    """Judged by a small write to the same disk, and by the spool's own word."""
    fault = vitals.spool_fault or vitals.disk_fault
    if fault:
        return Sign(Part.SPOOL, False, fault)
    return by_time(Part.SPOOL, vitals.disk, "a write to the spool's disk ended")
