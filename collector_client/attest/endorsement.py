"""Who vouches for a TPM: its endorsement key's certificate up to a pinned root, or the operator's list.

Source: TCG EK Credential Profile for TPM Family 2.0 section 3 (EK certificates): an often empty subject and a critical
subjectAltName with a directoryName that says what TPM it is, which verifiers of the web refuse. So the chain is walked
here: names and signatures, CA rights, dates, and no critical extension that nobody here understands.

Rules of this file: certificates in, an assurance or `AttestError` out; the time is an argument. A certificate that is
for another key, or that names a trusted CA without being signed by it, is refused even where unknown makers are
allowed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtensionOID

from appliance.wire.codes import SessionCode
from appliance.wire.fields import plain
from collector_client.attest.errors import AttestError
from collector_client.attest.levels import SOFTWARE, TPM, TPM_UNLISTED
from collector_client.attest.public import Public

MAX_LINKS = 5
"""CAs above an EK certificate."""
_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    CryptographyDeprecationWarning,  # where warnings are errors
)
_EK_PURPOSE = x509.ObjectIdentifier("2.23.133.8.1")
_TPM_WORDS = {"2.23.133.2.1": "maker", "2.23.133.2.2": "model", "2.23.133.2.3": "version"}
_UNDERSTOOD = {
    ExtensionOID.BASIC_CONSTRAINTS,
    ExtensionOID.KEY_USAGE,
    ExtensionOID.EXTENDED_KEY_USAGE,
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    ExtensionOID.CERTIFICATE_POLICIES,
}


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom the collector believes: certificates of makers, of development CAs (software TPMs), and single EKs.

    A self-signed certificate is a root; the others are links that a maker's TPMs do not carry themselves. `allowed`
    holds the SHA-256 digests of endorsement keys (of their SubjectPublicKeyInfo).
    """

    makers: tuple[x509.Certificate, ...] = ()
    development: tuple[x509.Certificate, ...] = ()
    allowed: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class Endorsement:
    """What is known of a TPM: the assurance it gives, and who says so in words for the audit."""

    assurance: str
    voucher: str


def ek_digest(ek: Public) -> bytes:
    """What the list of allowed EKs is made of, and what a TPM is known by."""
    return hashlib.sha256(ek.spki_der()).digest()


def judge(ek: Public, certificate_der: bytes | None, trust: Trust, now: datetime) -> Endorsement:
    """Say what an endorsement key is worth.

    Raises:
        AttestError: the certificate is unreadable, another TPM's, no EK certificate, or not signed by whom it names.
    """
    try:
        return _judge(ek, certificate_der, trust, now)
    except _UNREADABLE as error:  # the library reads names, dates and extensions only when they are asked for
        raise _invalid(f"a certificate that cannot be read ({plain(str(error), 120)})", "RFC 5280") from error


def _judge(ek: Public, certificate_der: bytes | None, trust: Trust, now: datetime) -> Endorsement:
    certificate = None if certificate_der is None else _read(ek, certificate_der)
    words = "no EK certificate" if certificate is None else _check_leaf(ek, certificate)
    if ek_digest(ek) in trust.allowed:
        return Endorsement(TPM, f"{words}, on the list of allowed EKs")
    if certificate is None:
        return Endorsement(TPM_UNLISTED, words)
    for assurance, pool in ((TPM, trust.makers), (SOFTWARE, trust.development)):
        root = _root_of(certificate, pool, now)
        if root is not None:
            return Endorsement(assurance, f"{words}, root {_shown(root.subject)}")
    return Endorsement(TPM_UNLISTED, f"{words}, issued by {_shown(certificate.issuer)}")


def _read(ek: Public, der: bytes) -> x509.Certificate:
    certificate = x509.load_der_x509_certificate(der)
    if certificate.serial_number <= 0:
        raise _invalid("a certificate whose serial number is not positive", "RFC 5280")
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if spki != ek.spki_der():
        came = f"the EK certificate of key {hashlib.sha256(spki).hexdigest()[:16]}"
        raise AttestError(SessionCode.EK_CERTIFICATE_DIFFERS, came, f"one of key {ek_digest(ek).hex()[:16]}")
    return certificate


def _check_leaf(ek: Public, certificate: x509.Certificate) -> str:
    """The certificate is for an endorsement key; gives what it says of the TPM, in words."""
    found = _extensions(certificate)
    constraints, usage, purposes = (
        found.get(oid)
        for oid in (ExtensionOID.BASIC_CONSTRAINTS, ExtensionOID.KEY_USAGE, ExtensionOID.EXTENDED_KEY_USAGE)
    )
    if constraints is not None and constraints.ca:
        raise _invalid("a CA's certificate", "one of an endorsement key")
    wanted = "key_encipherment" if isinstance(ek.key, rsa.RSAPublicKey) else "key_agreement"
    if usage is not None and not getattr(usage, wanted):
        raise _invalid(f"a certificate whose usage is not {wanted}", "one of an endorsement key")
    if purposes is not None and _EK_PURPOSE not in purposes:
        raise _invalid("a certificate for another purpose", "one of an endorsement key (2.23.133.8.1)")
    return _tpm_words(found.get(ExtensionOID.SUBJECT_ALTERNATIVE_NAME))


def _tpm_words(names: Any) -> str:
    """Maker, model and version from the directoryName, which may hold them in one relative name or in three."""
    directories = names.get_values_for_type(x509.DirectoryName) if names is not None else []
    said = {
        _TPM_WORDS[attribute.oid.dotted_string]: str(attribute.value)
        for directory in directories
        for attribute in directory
        if attribute.oid.dotted_string in _TPM_WORDS
    }
    if "maker" not in said:
        raise _invalid("a certificate that names no TPM", "a subjectAltName with the TPM's maker (2.23.133.2.1)")
    return "TPM " + ", ".join(f"{word} {plain(said[word], 40)}" for word in _TPM_WORDS.values() if word in said)


def _extensions(certificate: x509.Certificate) -> dict[x509.ObjectIdentifier, Any]:
    extensions = list(certificate.extensions)
    strange = [item.oid.dotted_string for item in extensions if item.critical and item.oid not in _UNDERSTOOD]
    if strange:
        raise _invalid(f"critical extension {strange[0]}", "extensions that are understood here")
    return {item.oid: item.value for item in extensions}


def _root_of(leaf: x509.Certificate, pool: Iterable[x509.Certificate], now: datetime) -> x509.Certificate | None:
    """The root in `pool` that `leaf` hangs from; None when its issuer, or one above it, is not in the pool."""
    pool = tuple(pool)
    current = leaf
    _check_dates(current, now)
    for _ in range(MAX_LINKS):
        named = [candidate for candidate in pool if candidate.subject == current.issuer]
        if not named:
            return None
        issuer = next((candidate for candidate in named if _signed(current, candidate)), None)
        if issuer is None:
            came = f"a certificate that names {_shown(current.issuer)} and is not signed by it"
            raise _invalid(came, "a chain of genuine signatures")
        _check_ca(issuer, now)
        if issuer.subject == issuer.issuer:
            return issuer
        current = issuer
    raise _invalid(f"a chain of more than {MAX_LINKS} CAs", f"at most {MAX_LINKS}")


def _signed(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (*_UNREADABLE, InvalidSignature):
        return False
    return True


def _check_ca(issuer: x509.Certificate, now: datetime) -> None:
    found = _extensions(issuer)
    constraints, usage = found.get(ExtensionOID.BASIC_CONSTRAINTS), found.get(ExtensionOID.KEY_USAGE)
    if constraints is None or not constraints.ca or (usage is not None and not usage.key_cert_sign):
        raise _invalid(f"{_shown(issuer.subject)} as an issuer, which is no CA", "CAs")
    _check_dates(issuer, now)


def _check_dates(certificate: x509.Certificate, now: datetime) -> None:
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        span = f"{certificate.not_valid_before_utc:%Y-%m-%d} to {certificate.not_valid_after_utc:%Y-%m-%d}"
        raise _invalid(f"a certificate for {span}", f"one that is valid at {now:%Y-%m-%d}")


def _shown(name: x509.Name) -> str:
    return plain(name.rfc4514_string(), 80) or "(no name)"


def _invalid(came: str, allowed: str) -> AttestError:
    return AttestError(SessionCode.EK_CERTIFICATE_INVALID, came, allowed)
