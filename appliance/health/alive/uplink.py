"""Does the uplink's loop turn?

Rules of this file: one function. Whether the collector answers is no matter here (`checks/uplink.py` says that): a box
whose collector is away for a week watches and keeps what it finds.
"""

from __future__ import annotations

from appliance.health.alive.sign import Part, Sign, Vitals, by_time


def uplink(vitals: Vitals) -> Sign:
    """Judged by the loop's turns; one of them may take as long as a whole exchange that fails."""
    return by_time(Part.UPLINK, vitals.uplink, "the uplink's loop turned")
