"""Are there rules, and do they load?

Rules of this file: one function. It loads them as the daemon does, without touching the daemon's cache.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from vedette_engine import EngineError

from appliance.doctor.patient import Patient
from appliance.doctor.result import Result, State, failed, ok
from appliance.engine.ruleset import load_rules, refusal_summary, rule_variables


def check(patient: Patient) -> Result:
    """By the engine."""
    section = patient.config.rules
    try:
        with tempfile.TemporaryDirectory(prefix="vedette-doctor-") as cache:
            rules = load_rules(
                section.paths,
                rule_variables(section.home_net, section.variables),
                matcher=section.matcher,
                cache_dir=Path(cache),
            )
    except EngineError as error:
        return failed(str(error), "check [rules]: vedette rules check PATH")
    if not rules.rules:
        return failed(f"0 loaded, {len(rules.refused)} refused", "check [rules] paths: vedette rules check PATH")
    text = f"{len(rules.rules)} loaded, {len(rules.refused)} refused"
    if rules.refused:
        reasons = ", ".join(f"{reason} ({count})" for reason, count in refusal_summary(rules)[:3])
        return Result(State.WARNING, f"{text}: {reasons}", "vedette rules check PATH names each")
    return ok(text)
