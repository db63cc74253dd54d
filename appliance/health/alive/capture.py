"""Do the capture's threads go round?

Rules of this file: one function. A thread of the engine publishes its counters five times a second, packets or not, and
its own processor time among them grows with each round. With several threads one that hangs hides behind the others:
its share of the traffic then shows as drops (`checks/capture_drops.py`).
"""

from __future__ import annotations

from appliance.health.alive.sign import Part, Sign, Vitals, by_time


def capture(vitals: Vitals) -> Sign:
    """Judged by the engine's own counters."""
    return by_time(Part.CAPTURE, vitals.capture, "the capture's counters moved")
