"""Is what waits for the collector whole?

Rules of this file: one function. It changes nothing; beside a running daemon the newest record may be half written,
which is why damage is a warning then and vedette spool verify the judge.
"""

from __future__ import annotations

from appliance.doctor.patient import Patient
from appliance.doctor.result import Result, State, failed, ok, skipped
from appliance.spool import verify


def check(patient: Patient) -> Result:
    """By reading every byte."""
    folder = patient.state_dir / "spool"
    if not folder.is_dir():
        return skipped("not made yet: the daemon has not run")
    report = verify(folder)
    waiting = sum(segment.waiting for segment in report.segments)
    if not report.sound:
        told = report.notes[0] if report.notes else "records are lost"
        advice = "vedette spool verify; what is damaged is told to the collector as lost"
        if (patient.state_dir / "run" / "status.sock").exists():
            return Result(State.WARNING, told, advice)
        return failed(told, advice)
    return ok(f"{waiting} events wait")
