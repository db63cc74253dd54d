"""All authorities of a folder as an operator sees them, with the number of sensors that hang from each.

Rules of this file: reads certificates, changes nothing. A sensor hangs from the CA that its certificate's
AuthorityKeyIdentifier names; who may speak is the caller's to say.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from collector_client.errors import CollectorError
from collector_client.pki import profile
from collector_client.pki.chains import Chains, issued, load_chains
from collector_client.pki.register import Entry
from collector_client.pki.watch import days_left, warnings


@dataclass(frozen=True, slots=True)
class Line:
    """One authority; `not_after` is ISO 8601, `pin` the SHA-256 over its public key, `sensors` who hang from it."""

    name: str
    kind: str
    state: str
    key: str
    subject: str
    not_after: str
    days_left: int | None
    under: str
    pin: str
    sensors: int
    warnings: tuple[str, ...]


def overview(folder: Path, in_use: Iterable[tuple[str, bytes]], now_ns: int) -> list[Line]:
    """One line for each authority, oldest first; `in_use` are sensor ids with certificates (DER) that may speak.

    Raises:
        OperatorError: a file is missing or damaged.
        EnvironmentFault: the disk or its permissions refuse.
    """
    chains = load_chains(folder)
    hanging: dict[bytes, set[str]] = {}
    for sensor, der in in_use:
        hanging.setdefault(profile.issuer_identifier(x509.load_der_x509_certificate(der)), set()).add(sensor)
    said = warnings(chains, now_ns)
    return [_line(folder, chains, entry, hanging, said, now_ns) for entry in chains.register.entries]


def ca_warnings(folder: Path, now_ns: int) -> list[str]:
    """What an operator should know of the authorities of a folder; that they cannot be read is one such thing.

    A folder that is not there has none: a copy of the store alone may be looked at.
    """
    if not folder.exists():
        return []
    try:
        return warnings(load_chains(folder), now_ns)
    except CollectorError as error:
        return [f"the certificate authorities cannot be read: {error}"]


def _line(
    folder: Path, chains: Chains, entry: Entry, hanging: dict[bytes, set[str]], said: list[str], now_ns: int
) -> Line:
    certificate = chains.certificates.get(entry.name)
    key = f"{entry.key} {entry.key_id}".strip()
    if entry.kind == "root":
        key = "here" if _has_key(folder, entry, certificate) else "away"
    if certificate is None:
        return Line(entry.name, entry.kind, entry.state, key, "", "", None, "", "", 0, ())
    if entry.kind == "root":
        below = [one for one in chains.certificates.values() if one != certificate and issued(one, certificate)]
        sensors = set().union(*(hanging.get(profile.key_identifier(one), set()) for one in below))
        under = ""
    else:
        sensors = hanging.get(profile.key_identifier(certificate), set())
        under = chains.entry_of(chains.root_of(certificate)).name
    return Line(
        entry.name,
        entry.kind,
        entry.state,
        key,
        certificate.subject.rfc4514_string(),
        certificate.not_valid_after_utc.isoformat(timespec="seconds"),
        days_left(certificate, now_ns),
        under,
        profile.pin_of(certificate),
        len(sensors),
        tuple(line for line in said if f" {entry.name} " in line),
    )


def _has_key(folder: Path, entry: Entry, certificate: x509.Certificate | None) -> bool:
    # Only the first root is ever made on the collector.
    return certificate is not None and (folder / f"{entry.name}.key").exists()
