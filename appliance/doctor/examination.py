"""The checks in order, and which must hold for which: what cannot be judged yet is skipped, by the name of the reason.

Rules of this file: a table and one loop. A check that raises an error of ours has failed by it; whatever else it raises
is a fault of ours and passes through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from appliance.doctor.checks import (
    address,
    capture,
    certificate,
    clock,
    disk,
    dns,
    key,
    link,
    name,
    proxy,
    quota,
    rules,
    supervisor,
    tcp,
    tls_chain,
    token,
)
from appliance.doctor.checks import spool as spool_check
from appliance.doctor.patient import Patient
from appliance.doctor.result import CheckName, Result, State, failed, skipped
from appliance.errors import ApplianceError

Check = Callable[[Patient], Result]

_N = CheckName
CHECKS: Mapping[CheckName, tuple[Check, tuple[CheckName, ...]]] = {
    _N.LINK: (link.check, ()),
    _N.ADDRESS: (address.check, (_N.LINK,)),
    _N.DNS: (dns.check, (_N.ADDRESS,)),
    _N.TCP: (tcp.check, (_N.DNS,)),
    _N.PROXY: (proxy.check, (_N.TCP,)),
    _N.TLS_CHAIN: (tls_chain.check, (_N.TCP, _N.PROXY)),
    _N.NAME: (name.check, (_N.TLS_CHAIN,)),
    _N.CLOCK: (clock.check, (_N.TCP, _N.PROXY)),
    _N.TOKEN: (token.check, ()),
    _N.KEY: (key.check, ()),
    _N.CERTIFICATE: (certificate.check, (_N.KEY,)),
    _N.QUOTA: (quota.check, (_N.NAME, _N.CERTIFICATE)),
    _N.RULES: (rules.check, ()),
    _N.CAPTURE: (capture.check, ()),
    _N.DISK: (disk.check, ()),
    _N.SPOOL: (spool_check.check, ()),
    _N.SUPERVISOR: (supervisor.check, ()),
}


def examine(patient: Patient) -> dict[CheckName, Result]:
    """Every check's result, in order."""
    found: dict[CheckName, Result] = {}
    held: set[CheckName] = set()
    for check, (ask, after) in CHECKS.items():
        bars = [first for first in after if first in held]
        if bars:
            held.add(check)
            found[check] = skipped(f"not asked: {bars[0].value} must hold first")
            continue
        try:
            found[check] = ask(patient)
        except ApplianceError as error:
            found[check] = failed(str(error), error.advice or "see the configuration: vedette config")
        if found[check].state is State.FAILED:
            held.add(check)
    return found
