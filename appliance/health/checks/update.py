"""Did the box come back from a new version, or refuse one?

Rules of this file: one function. A fall back stays a warning until another version was good: nobody may have looked.
"""

from __future__ import annotations

from appliance.health.check import CheckName, Facts, Finding, Severity

_ADVICE = {
    "fell-back": "mend the version, then offer it anew: vedette-collector update offer",
    "refused": "offer a bundle that this box can take: vedette-collector update offer",
}


def update(facts: Facts) -> Finding:
    """By the last outcome of an update."""
    system = facts.system
    if system is None:
        return Finding(CheckName.UPDATE, Severity.OK, "no image of ours: updated as it was installed")
    text = f"version {system.version} runs"
    if system.state not in ("idle", "good"):
        text += f"; update to {system.update_version}: {system.state}"
    ended = [outcome for outcome in system.outcomes if outcome.kind in ("good", *_ADVICE)]
    if ended and ended[-1].kind in _ADVICE:
        last = ended[-1]
        words = f"{text}; {last.kind} {last.version}: {last.reason}"
        return Finding(CheckName.UPDATE, Severity.WARNING, words, _ADVICE[last.kind])
    return Finding(CheckName.UPDATE, Severity.OK, text)
