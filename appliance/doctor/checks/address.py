"""Has the box an address, and a route from it to the collector?

Rules of this file: one function. The kernel is asked for the way (connect(2) on a datagram socket); nothing is sent.
"""

from __future__ import annotations

import ipaddress
import socket

from appliance.doctor.patient import Patient
from appliance.doctor.result import Result, failed, ok

_ANYWHERE = ("192.0.2.1", "2001:db8::1")
"""Documentation's own addresses (RFC 5737, RFC 3849): nobody is there, so only a default route leads there."""


def check(patient: Patient) -> Result:
    """For each target an address of ours that leads there; for one known by name, that leads anywhere."""
    ours = []
    for host, port in patient.targets:
        wanted = (host,) if _is_address(host) else ("127.0.0.1",) if host == "localhost" else _ANYWHERE
        found = [address for address in (_source(target, port) for target in wanted) if address]
        if not found:
            return failed(
                f"no address of ours leads to {host}",
                "check DHCP, or the static address and gateway: ip address; ip route",
            )
        ours.append(found[0])
    if not ours:
        return failed("[collector] urls: none came", "name the collector, e.g. https://c.example.net:443")
    return ok(", ".join(dict.fromkeys(ours)))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _source(target: str, port: int) -> str | None:
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((target, port))
            return str(probe.getsockname()[0])
    except OSError:
        return None
