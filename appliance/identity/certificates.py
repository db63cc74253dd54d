"""Our certificate and the CA behind it: parsing, belonging, and the question how much of its life is left.

Rules of this file: bytes and a time in, facts out. Files are `folder.py`'s, connections are `tls.py`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID

from appliance.identity.errors import CertificateExpiredError, CertificateInvalidError
from appliance.wire.enrollment import ASSURANCE_URN, SENSOR_URN, ca_pin, parse_sensor_id
from appliance.wire.fields import SessionError

# Two thirds, as ACME clients do: a month's certificate leaves ten days in which a collector may be away.
RENEW_AFTER = 2 / 3
MAX_CERTIFICATES = 8
_AGAIN = "enroll again with a new token: vedette enroll"
_RENEW = "vedette enroll --renew; if the collector takes it no more, enroll with a new token"

_UNREADABLE = (
    ValueError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)

LifeState = Literal["not yet valid", "valid", "renew", "expired"]


@dataclass(frozen=True, slots=True)
class Life:
    """When a certificate is good, in nanoseconds since 1970."""

    not_before_ns: int
    not_after_ns: int

    @property
    def renew_at_ns(self) -> int:
        """From here on a new one should be had."""
        return self.not_before_ns + int((self.not_after_ns - self.not_before_ns) * RENEW_AFTER)

    def state(self, now_ns: int) -> LifeState:
        """Where `now_ns` lies."""
        if now_ns < self.not_before_ns:
            return "not yet valid"
        if now_ns > self.not_after_ns:
            return "expired"
        return "renew" if now_ns >= self.renew_at_ns else "valid"

    def check(self, now_ns: int) -> None:
        """Refuse a certificate that no collector would take.

        Raises:
            CertificateExpiredError: its life is over, or has not begun.
        """
        state = self.state(now_ns)
        if state == "expired":
            raise CertificateExpiredError(
                f"our certificate expired on {_day(self.not_after_ns)}, now is {_day(now_ns)}",
                advice=f"check the clock; if it is right: {_RENEW}",
            )
        if state == "not yet valid":
            raise CertificateExpiredError(
                f"our certificate is valid from {_day(self.not_before_ns)}, now is {_day(now_ns)}",
                advice="set the clock: it is behind the collector's",
            )


@dataclass(frozen=True, slots=True)
class SensorCertificate:
    """A certificate that names a sensor: by its first key's id, whichever of its keys this one is for."""

    sensor_id: str
    assurance: str
    life: Life


def parse_pem(what: str, data: bytes) -> list[x509.Certificate]:
    """Every certificate of a PEM file, at least one.

    Raises:
        CertificateInvalidError: there is none, or one does not parse.
    """
    try:
        found = x509.load_pem_x509_certificates(data)
    except _UNREADABLE as exc:
        raise CertificateInvalidError(f"{what}: no certificates in PEM", advice=_AGAIN) from exc
    return _few(what, found)


def parse_certs_only(what: str, der: bytes) -> list[x509.Certificate]:
    """The certificates of a PKCS#7 certs-only answer (RFC 7030 section 4.1.3), at least one.

    Raises:
        CertificateInvalidError: it does not parse, or holds none or too many.
    """
    try:
        found = pkcs7.load_der_pkcs7_certificates(der)
    except _UNREADABLE as exc:
        raise CertificateInvalidError(f"{what}: not PKCS#7 with certificates", advice="is this a collector?") from exc
    return _few(what, found)


def _few(what: str, found: list[x509.Certificate]) -> list[x509.Certificate]:
    if not 1 <= len(found) <= MAX_CERTIFICATES:
        raise CertificateInvalidError(f"{what}: {len(found)} certificates came, 1 to {MAX_CERTIFICATES} were allowed")
    try:
        for one in found:
            # The library reads these when they are asked for: what does not read is refused here, not somewhere later.
            _ = one.subject, one.issuer, one.not_valid_before_utc, one.not_valid_after_utc, one.extensions
            one.public_key()
    except _UNREADABLE as exc:
        raise CertificateInvalidError(f"{what}: a certificate does not read ({exc})", advice=_AGAIN) from exc
    return found


def to_pem(certificates: Sequence[x509.Certificate]) -> bytes:
    """One PEM file."""
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def spki_der(certificate: x509.Certificate) -> bytes:
    """The SubjectPublicKeyInfo of a certificate.

    Raises:
        CertificateInvalidError: a key of a kind that is not known here.
    """
    try:
        return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise CertificateInvalidError("a certificate's key is of an unknown kind") from exc


def pinned_root(certificates: Sequence[x509.Certificate], pin: str) -> x509.Certificate | None:
    """The certificate that has the pinned key, if it is a CA that signed itself."""
    for certificate in certificates:
        if ca_pin(spki_der(certificate)) == pin and is_ca(certificate) and issued(certificate, certificate):
            return certificate
    return None


def chain_to(
    root: x509.Certificate, leaf: x509.Certificate, between: Sequence[x509.Certificate]
) -> list[x509.Certificate] | None:
    """`leaf` and the CAs below `root` that lead from it there, or None when none do.

    Signatures, names and the CA flag are checked here; dates are left to TLS, which asks at every connection.
    """
    chain = [leaf]
    while not issued(chain[-1], root):
        above = [ca for ca in between if ca not in chain and is_ca(ca) and issued(chain[-1], ca)]
        if not above:
            return None
        chain.append(above[0])
    return chain if is_ca(root) else None


def sensor_certificate(certificate: x509.Certificate) -> SensorCertificate:
    """What a certificate says of the sensor.

    Raises:
        CertificateInvalidError: it is not for TLS clients, or does not name exactly one sensor.
    """
    try:
        extensions = certificate.extensions
        uris = extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
            x509.UniformResourceIdentifier
        )
        usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (ValueError, x509.ExtensionNotFound, UnsupportedAlgorithm) as exc:
        raise CertificateInvalidError("the certificate names no sensor", advice=_AGAIN) from exc
    names = [uri.removeprefix(SENSOR_URN) for uri in uris if uri.startswith(SENSOR_URN)]
    try:
        (name,) = (parse_sensor_id(name) for name in names)
    except (ValueError, SessionError) as exc:
        raise CertificateInvalidError(f"the certificate names {names}, one sensor was allowed", advice=_AGAIN) from exc
    if ExtendedKeyUsageOID.CLIENT_AUTH not in usage:
        raise CertificateInvalidError("the certificate is not for TLS clients", advice=_AGAIN)
    assurance = [uri.removeprefix(ASSURANCE_URN) for uri in uris if uri.startswith(ASSURANCE_URN)]
    return SensorCertificate(name, assurance[0] if assurance else "", life_of(certificate))


def life_of(certificate: x509.Certificate) -> Life:
    """When a certificate is good."""
    return Life(_ns(certificate.not_valid_before_utc), _ns(certificate.not_valid_after_utc))


def is_ca(certificate: x509.Certificate) -> bool:
    """Whether it says that it is a CA."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (ValueError, x509.ExtensionNotFound):
        return False


def issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether names and signature fit."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _ns(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000_000


def _day(ns: int) -> str:
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).isoformat(timespec="seconds")
