"""The clock that a command works by, made from the configuration.

Rules of this file: no command lives here. It builds; when to ask whom is `enroll.timekeeping`'s.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from appliance.clock import Clock
from appliance.config import Config
from appliance.enroll import Enrolled, EnrollmentPlan
from appliance.enroll.clock_floor import ClockFloor
from appliance.enroll.in_time import enroll_in_time
from appliance.enroll.timekeeping import TimeSource, set_system_time
from appliance.errors import ApplianceError
from appliance.identity import CollectorUrl, IdentityFolder, Proxy
from appliance.identity.certificates import parse_pem, spki_der
from appliance.identity.folder import read_small
from appliance.wire.enrollment import ca_pin


def time_source(config: Config, pin: str) -> TimeSource:
    """Who tells this box the time: the configured collectors, by the root that has this pin.

    Raises:
        OperatorError: an address or the proxy has another form.
    """
    section = config.collector
    return TimeSource(
        urls=[CollectorUrl.parse(url) for url in section.urls],
        pin=pin.lower(),
        floor=ClockFloor(Path(config.sensor.state_dir)),
        random=secrets.token_bytes,
        proxy=Proxy.parse(section.proxy) if section.proxy else None,
        timeout_s=float(section.timeout_s),
        set_time=set_system_time if config.sensor.set_clock else None,
    )


def trusted_pin(folder: IdentityFolder) -> str:
    """The pin of the root of an earlier enrollment; empty without one."""
    if not folder.ca_path.exists():
        return ""
    try:
        return ca_pin(spki_der(parse_pem(str(folder.ca_path), read_small(folder.ca_path))[0]))
    except ApplianceError:
        return ""


def enroll_as_planned(
    base: Config, plan: EnrollmentPlan, folder: IdentityFolder, clock: Clock, on_step: Callable[[str], None]
) -> Enrolled:
    """Enroll, in time, where a plan says, which need not be where the configuration file does: as a stick's.

    Raises:
        ApplianceError: as `enroll_in_time`.
    """
    source = replace(time_source(base, plan.pin), urls=plan.urls, proxy=plan.proxy, timeout_s=plan.timeout_s)
    return enroll_in_time(plan, folder, clock, source, on_step=on_step)
