"""What an operator should know of the authorities in time: which of them comes near its end.

Rules of this file: pure; certificates and a time in, sentences out. The same sentences go to the log, to `sensors`, to
`ca show` and onto the page.
"""

from __future__ import annotations

from cryptography import x509

from collector_client.pki import profile
from collector_client.pki.chains import Chains
from collector_client.pki.register import TRUSTED

ROOT_WARN_DAYS = 365
"""A new root must reach every sensor at a renewal, and the machine that holds the old one must be found first."""
ISSUING_WARN_DAYS = 180
"""Sensors' certificates never outlive it: late in its life they grow short."""


def warnings(chains: Chains, now_ns: int) -> list[str]:
    """One line for each authority in trust that ends soon, most urgent first."""
    found = []
    for entry in chains.register.entries:
        if entry.state in TRUSTED:
            certificate = chains.certificates[entry.name]
            days = days_left(certificate, now_ns)
            # An old one that signs nothing more is on its way out: its end matters to nobody but who hangs from it.
            signs = certificate in (chains.issuing, chains.root)
            if signs and days <= (ROOT_WARN_DAYS if entry.kind == "root" else ISSUING_WARN_DAYS):
                found.append((days, _sentence(entry.name, entry.kind, certificate, days)))
    return [line for _, line in sorted(found)]


def days_left(certificate: x509.Certificate, now_ns: int) -> int:
    """Whole days until its end; negative after it."""
    return (certificate.not_valid_after_utc - profile.datetime_of(now_ns)).days


def _sentence(name: str, kind: str, certificate: x509.Certificate, days: int) -> str:
    what = "root" if kind == "root" else "issuing CA"
    end = f"{certificate.not_valid_after_utc:%Y-%m-%d}"
    when = f"ends in {days} days, on {end}" if days >= 0 else f"ended on {end}"
    do = "ca new-root" if kind == "root" else "ca request"
    return f"the {what} {name} {when}: begin a roll-over with vedette-collector {do}"
