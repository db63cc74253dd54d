"""Is the box guarded by its supervisor, and what does that say?

Rules of this file: one function. A box that never had a board is as it was built, and well; one whose board does not
answer as it should is watched by systemd and the kernel alone, which somebody ought to know.
"""

from __future__ import annotations

from appliance.health.check import CheckName, Facts, Finding, Severity
from appliance.mcu import State

_ADVICE = {
    State.FAULTY.value: "see what it says; vedette supervisor info, with the daemon at rest",
    State.SILENT.value: "check the board's cable and power; was it exchanged, or paired with another box?",
    State.FOREIGN.value: "does [supervisor] port name the supervisor's port?",
    State.OTHER_VERSION.value: "update the box, or the supervisor's firmware by its service port",
    State.UNPAIRED.value: "vedette supervisor pair",
    State.ABSENT.value: "check the board's cable; it was there before",
}
_FLAGS = {
    "tampered": "somebody has opened the box: look for what was changed",
    "rollback asked": "the box did not start well several times in a row: read the journal of the boot before",
}


def supervisor(facts: Facts) -> Finding:
    """Judged by the link's state and by the flags of the supervisor's own."""
    said = facts.supervisor
    text = f"{said.state}: {said.says}"
    if said.last_reset:
        text += f"; last reset: {said.last_reset}"
    was_there = bool(said.firmware)
    if not said.is_up and said.state in _ADVICE and (said.state != State.ABSENT.value or was_there):
        return Finding(CheckName.SUPERVISOR, Severity.WARNING, text, _ADVICE[said.state])
    for flag, advice in _FLAGS.items():
        if flag in said.flags:
            return Finding(CheckName.SUPERVISOR, Severity.WARNING, f"{flag}; {text}", advice)
    return Finding(CheckName.SUPERVISOR, Severity.OK, text)
