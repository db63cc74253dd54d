"""Is the box guarded by its supervisor, where it has one?

Rules of this file: one function, and never a failure: a box without its guard still does its work. It greets and asks;
nothing that it says counts as a sign of life.
"""

from __future__ import annotations

import secrets
from contextlib import closing
from pathlib import Path

from appliance.doctor.patient import Patient
from appliance.doctor.result import Result, State, ok, skipped
from appliance.errors import ApplianceError
from appliance.mcu import KeySource, Link, PortBusyError, SerialPort, Supervisor
from appliance.wire import mcu_words as words

SETTLE_S = 6.0


def check(patient: Patient) -> Result:
    """By greeting it; a daemon that runs has the port and says in its status what it hears."""
    section = patient.config.supervisor
    if not section.port or not Path(section.port).exists():
        return skipped(f"no supervisor board{f' at {section.port}' if section.port else ''}")
    supervisor = Supervisor(
        section.port,
        lambda: SerialPort(section.port, section.baud),
        Link(None, secrets.token_bytes, patient.clock.monotonic_s()),
        patient.clock,
        key=KeySource(patient.folder.keys, patient.state_dir),
        health=lambda: (words.BOOTING, 0, 0),
    )
    with closing(supervisor):
        try:
            supervisor.open()
        except PortBusyError as error:
            return skipped(f"{error}: vedette status")
        except ApplianceError as error:
            return Result(State.WARNING, str(error), error.advice or "vedette supervisor info")
        status = supervisor.settle(SETTLE_S)
    if not status.is_up:
        return Result(State.WARNING, f"{status.state}: {status.says}", "vedette supervisor info; is it paired?")
    return ok(f"{status.state}: {status.says}; last reset: {status.last_reset}")
