"""What each kind of certificate looks like (RFC 5280): root, issuing CA, server, sensor.

Rules of this file: keys, names and times in, certificates out; no files. Every certificate is P-256 with SHA-256,
says what it may be used for, and carries key identifiers, so that strict verifiers take it. A sensor's certificate is
made of its public key and our words alone: nothing that a request says about itself is copied.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from appliance.wire.enrollment import ASSURANCE_URN, SENSOR_URN, ca_pin, sensor_id
from collector_client.errors import OperatorError

ROOT_DAYS = 20 * 365
ISSUING_DAYS = 10 * 365
SERVER_DAYS = 397
"""The longest life that public verifiers take for a server certificate; ours follow for the day one stands in front."""
BACKDATED = timedelta(hours=1)
"""A sensor whose clock is somewhat slow must be able to use its certificate at once."""


def spki_der(key: EllipticCurvePublicKey) -> bytes:
    """SubjectPublicKeyInfo in DER: what a sensor's id and the CA pin are made of."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def pin_of(certificate: x509.Certificate) -> str:
    """The CA pin of a root certificate."""
    return ca_pin(certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def pin_of_key(key: EllipticCurvePublicKey) -> str:
    """SHA-256 (hex) over a SubjectPublicKeyInfo."""
    return ca_pin(spki_der(key))


def key_identifier(certificate: x509.Certificate) -> bytes:
    """The SubjectKeyIdentifier of one of our CAs; b"" when it has none."""
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except (ValueError, x509.ExtensionNotFound):
        return b""


def issuer_identifier(certificate: x509.Certificate) -> bytes:
    """The AuthorityKeyIdentifier's key identifier; b"" when there is none."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except (ValueError, x509.ExtensionNotFound):
        return b""
    return found or b""


def make_root(key: EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    """The self-signed root; it signs issuing CAs and its successor, nothing else."""
    name = _name("Vedette root CA")
    return _ca(_base(name, name, key.public_key(), now, timedelta(days=ROOT_DAYS)), key, path_length=None)


def make_issuing(
    key: EllipticCurvePublicKey, root: x509.Certificate, root_key: EllipticCurvePrivateKey, now: datetime
) -> x509.Certificate:
    """The CA that signs the server's and the sensors' certificates; its key is in its name, so that two differ."""
    name = _name(f"Vedette issuing CA {pin_of_key(key)[:8]}")
    builder = _base(name, root.subject, key, now, timedelta(days=ISSUING_DAYS), root)
    return _ca(builder, root_key, path_length=0)


def make_link(
    successor: x509.Certificate, root: x509.Certificate, root_key: EllipticCurvePrivateKey, now: datetime
) -> x509.Certificate:
    """The old root's word for the new root's key (NewWithOld, RFC 4210 section 4.4).

    Both have one name (self-issued, RFC 5280 section 3.2). Neither has a path length, because verifiers differ in
    whether they count self-issued certificates, and a box may have missed several roll-overs; that an issuing CA makes
    no CAs is said by its own.
    """
    key = successor.public_key()
    if not isinstance(key, EllipticCurvePublicKey) or successor.subject != root.subject:
        raise OperatorError("another kind of certificate came, a root made by `ca new-root` was allowed")
    builder = _base(root.subject, root.subject, key, now, timedelta(days=ROOT_DAYS), root)
    return _ca(builder, root_key, path_length=None)


def make_request(key: EllipticCurvePrivateKey) -> x509.CertificateSigningRequest:
    """An issuing CA's request to its root; only the key in it will count."""
    name = _name(f"Vedette issuing CA {pin_of_key(key.public_key())[:8]}")
    return x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())


def make_server(
    key: EllipticCurvePrivateKey,
    names: Sequence[str],
    issuing: x509.Certificate,
    issuing_key: EllipticCurvePrivateKey,
    now: datetime,
) -> x509.Certificate:
    """The server's certificate for DNS names and addresses.

    Raises:
        OperatorError: no name, or one that is neither a DNS name nor an address.
    """
    alternatives = [_alternative(name) for name in names]
    if not alternatives:
        raise OperatorError("no server name came, at least one was allowed", advice="give --name HOST")
    builder = _base(_name(names[0][:64]), issuing.subject, key.public_key(), now, timedelta(days=SERVER_DAYS), issuing)
    builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return _leaf(builder, ExtendedKeyUsageOID.SERVER_AUTH, issuing_key)


@dataclass(frozen=True, slots=True)
class SensorCertificate:
    """A certificate just made for a sensor."""

    sensor_id: str
    assurance: str
    not_after_ns: int
    der: bytes


def make_sensor(
    public_key: EllipticCurvePublicKey,
    assurance: str,
    issuing: x509.Certificate,
    issuing_key: EllipticCurvePrivateKey,
    now: datetime,
    life: timedelta,
    *,
    name: str | None = None,
) -> SensorCertificate:
    """A sensor's client certificate: named by its first key (this one, unless `name` says otherwise); its assurance
    says where the key lives.
    """
    name = sensor_id(spki_der(public_key)) if name is None else name
    builder = _base(_name(name), issuing.subject, public_key, now, life, issuing)
    uris = [x509.UniformResourceIdentifier(uri) for uri in (SENSOR_URN + name, ASSURANCE_URN + assurance)]
    builder = builder.add_extension(x509.SubjectAlternativeName(uris), critical=False)
    certificate = _leaf(builder, ExtendedKeyUsageOID.CLIENT_AUTH, issuing_key)
    not_after_ns = int(certificate.not_valid_after_utc.timestamp()) * 1_000_000_000
    return SensorCertificate(name, assurance, not_after_ns, certificate.public_bytes(Encoding.DER))


def datetime_of(wall_ns: int) -> datetime:
    """Nanoseconds since 1970 as the second it is in, UTC: certificates know no fractions."""
    return datetime.fromtimestamp(wall_ns // 1_000_000_000, UTC)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    labels = name.split(".")
    if not name or len(name) > 253 or not all(_is_label(label) for label in labels):
        raise OperatorError(
            f"server name {name!r} came, a DNS name or an IP address was allowed",
            advice="name what the sensors' [collector] urls say, without scheme and port: --name collector.example.net",
        )
    return x509.DNSName(name.lower())


def _is_label(label: str) -> bool:
    plain = label.replace("-", "a").replace("_", "a")
    return 0 < len(label) <= 63 and plain.isascii() and plain.isalnum() and label[0] != "-" != label[-1]


def _base(
    subject: x509.Name,
    issuer: x509.Name,
    key: EllipticCurvePublicKey,
    now: datetime,
    life: timedelta,
    within: x509.Certificate | None = None,
) -> x509.CertificateBuilder:
    """Names, serial, validity; nothing outlives the CA it hangs from."""
    end = now + life if within is None else min(now + life, within.not_valid_after_utc)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signature: bool = False, certificates: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signature,
        key_cert_sign=certificates,
        crl_sign=certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _ca(builder: x509.CertificateBuilder, signer: EllipticCurvePrivateKey, path_length: int | None) -> x509.Certificate:
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    return (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_usage(certificates=True), critical=True)
        .add_extension(authority, critical=False)
        .sign(signer, hashes.SHA256())
    )


def _leaf(
    builder: x509.CertificateBuilder, purpose: x509.ObjectIdentifier, signer: EllipticCurvePrivateKey
) -> x509.Certificate:
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    return (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(authority, critical=False)
        .sign(signer, hashes.SHA256())
    )
