"""The clock that a command works by, made from the configuration.

Rules of this file: no command lives here. It builds; when to ask whom is `enroll.timekeeping`'s.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from appliance.config import Config
from appliance.enroll.clock_floor import ClockFloor
from appliance.enroll.timekeeping import TimeSource, set_system_time
from appliance.errors import ApplianceError
from appliance.identity import CollectorUrl, IdentityFolder, Proxy
from appliance.identity.certificates import parse_pem, spki_der
from appliance.identity.folder import read_small
from appliance.wire.enrollment import ca_pin


def time_source(config: Config, folder: IdentityFolder) -> TimeSource:
    """Who tells this box the time, by the root that it enrolled under or is to enroll under.

    Raises:
        OperatorError: an address or the proxy has another form.
    """
    section = config.collector
    return TimeSource(
        urls=[CollectorUrl.parse(url) for url in section.urls],
        pin=_trusted_pin(folder) or section.ca_pin.lower(),
        floor=ClockFloor(Path(config.sensor.state_dir)),
        random=secrets.token_bytes,
        proxy=Proxy.parse(section.proxy) if section.proxy else None,
        timeout_s=float(section.timeout_s),
        set_time=set_system_time if config.sensor.set_clock else None,
    )


def _trusted_pin(folder: IdentityFolder) -> str:
    """The pin of the root of an earlier enrollment; empty without one."""
    if not folder.ca_path.exists():
        return ""
    try:
        return ca_pin(spki_der(parse_pem(str(folder.ca_path), read_small(folder.ca_path))[0]))
    except ApplianceError:
        return ""
