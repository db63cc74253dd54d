"""The authorities of a folder as certificates: who signs, who is trusted, what others are told. No key is opened here.

    root.pem, root-2.pem ...        a root; of a successor, the word of the root before it after it (NewWithOld)
    issuing.pem, issuing-2.pem ...  an issuing CA

What a sensor is told (`told`): the trusted roots and issuing CAs, and every link from root to root, also from retired
ones: so a box that was away for the whole of a roll-over finds the new root. Why the link and nothing else: it is
plain X.509, which TLS stacks follow; it is made once, by the offline root's key, so that who steals an issuing CA
cannot bring a root of his own. OldWithNew is not made: nobody who starts with the new root needs the old one.

Rules of this file: reads certificates, writes nothing. Every chain is checked when it is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec

from collector_client.errors import OperatorError
from collector_client.pki import profile
from collector_client.pki.files import load_certificates, read
from collector_client.pki.register import FIRST, REGISTER_NAME, TRUSTED, Entry, Register, parse_register

MAX_TOLD = 8
"""A sensor takes at most so many certificates in one answer."""


@dataclass(frozen=True, slots=True)
class Chains:
    """One consistent look at a folder; certificates by their authority's name."""

    register: Register
    certificates: Mapping[str, x509.Certificate]
    links: tuple[x509.Certificate, ...]

    @property
    def issuing(self) -> x509.Certificate:
        """The CA that signs."""
        return self.certificates[self.register.issuing.name]

    @property
    def root(self) -> x509.Certificate:
        """The root above the CA that signs: whose pin a new sensor is told."""
        return self.root_of(self.issuing)

    def root_of(self, issuing: x509.Certificate) -> x509.Certificate:
        """The root above an issuing CA.

        Raises:
            OperatorError: none of this folder is.
        """
        for entry in self.register.entries:
            if entry.kind == "root" and issued(issuing, self.certificates[entry.name]):
                return self.certificates[entry.name]
        raise OperatorError(
            f"the issuing CA {profile.pin_of(issuing)[:8]} hangs from none of the roots",
            advice="restore them from a backup",
        )

    def trusted(self, kind: str) -> list[x509.Certificate]:
        """Roots or issuing CAs that count."""
        return [
            self.certificates[one.name] for one in self.register.entries if (one.kind == kind and one.state in TRUSTED)
        ]

    def told(self) -> list[x509.Certificate]:
        """What a sensor gets to know; CMS keeps no order."""
        return [*self.trusted("root"), *self.trusted("issuing"), *self.links]

    def above_server(self) -> list[x509.Certificate]:
        """What the server sends after its own certificate: its CA, and the way to it from every root before."""
        return [self.issuing, *reversed(self.links)]

    def accepts(self, certificate_der: bytes) -> bool:
        """Whether an issuing CA that is trusted has signed it: by the signature, because who has a stolen root can give
        a CA of his own any key identifier.
        """
        return _signed_by_any(certificate_der, tuple(self.trusted("issuing")))

    def entry_of(self, certificate: x509.Certificate) -> Entry:
        """The register's line of a certificate of ours."""
        return self.register.find(self._name(certificate))

    def _name(self, certificate: x509.Certificate) -> str:
        return next(name for name, one in self.certificates.items() if one == certificate)


@lru_cache(maxsize=8192)
def _signed_by_any(certificate_der: bytes, issuers: tuple[x509.Certificate, ...]) -> bool:
    certificate = x509.load_der_x509_certificate(certificate_der)
    return any(issued(certificate, issuer) for issuer in issuers)


def load_chains(folder: Path) -> Chains:
    """Read a folder.

    Raises:
        OperatorError: a file is missing, damaged, readable for others, or does not hang from what it should.
        EnvironmentFault: the disk or its permissions refuse.
    """
    register = load_register(folder)
    certificates: dict[str, x509.Certificate] = {}
    links: list[x509.Certificate] = []
    for entry in register.entries:
        path = folder / f"{entry.name}.pem"
        if entry.state == "requested" or (entry.kind == "issuing" and entry.state == "retired" and not path.exists()):
            continue
        found = load_certificates(path)
        certificates[entry.name] = found[0]
        links += found[1:] if entry.kind == "root" else []
    chains = Chains(register, certificates, tuple(links))
    for entry in register.entries:
        if entry.kind == "issuing" and entry.state in TRUSTED:
            chains.root_of(certificates[entry.name])
    return chains


def load_register(folder: Path) -> Register:
    """The register of a folder; raises as `load_chains`."""
    path = folder / REGISTER_NAME
    if not path.exists():
        return FIRST
    try:
        return parse_register(read(path))
    except OperatorError as error:
        raise OperatorError(f"{folder}: {error}", advice=error.advice) from error


def issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether names and signature fit."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def is_ca(certificate: x509.Certificate, *, above_cas: bool) -> bool:
    """Whether it is a CA on P-256 that may sign certificates: of CAs, or (a path length of 0) of others only."""
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        key = certificate.public_key()
    except (ValueError, x509.ExtensionNotFound):
        return False
    on_curve = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
    return constraints.ca and (constraints.path_length != 0) == above_cas and usage.key_cert_sign and on_curve
