"""Is there a cable with something at its other end?

Rules of this file: one function. A collector on this very box is reached by the loopback interface, all others are not.
"""

from __future__ import annotations

import ipaddress

import psutil

from appliance.doctor.patient import Patient
from appliance.doctor.result import Result, failed, ok


def check(patient: Patient) -> Result:
    """At least one interface that may lead to the collector is up and has a carrier."""
    stats = psutil.net_if_stats()
    here = all(is_loopback(host) for host, _ in patient.targets)
    # Without a collector nobody can say which interface would lead there: `address` names what is missing.
    able = {name: stat for name, stat in stats.items() if not patient.targets or (name == "lo") == here}
    up = [name for name, stat in able.items() if stat.isup]
    if up:
        return ok(f"up: {', '.join(up)}")
    came = ", ".join(f"{name} is down" for name in able) or "there is no interface"
    return failed(came, "plug the cable in; check the switch's port; ip link set INTERFACE up")


def is_loopback(host: str) -> bool:
    """Whether a host is this one, by its address or the one name that means so everywhere."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
