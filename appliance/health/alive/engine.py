"""Does what the engine finds get out of it?

Rules of this file: one function. The pipeline asks the engine five times a second; it also goes round while a full disk
makes it wait.
"""

from __future__ import annotations

from appliance.health.alive.sign import Part, Sign, Vitals, by_time


def engine(vitals: Vitals) -> Sign:
    """Judged by the pipeline's turns."""
    return by_time(Part.ENGINE, vitals.engine, "the pipeline asked the engine")
