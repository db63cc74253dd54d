"""A provider's certificates, made in memory: root, issuing CA, server, sensors, and all the wrong ones a test needs."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from appliance.wire.enrollment import ASSURANCE_URN, SENSOR_URN, ca_pin, sensor_id

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)


def spki(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


class Authority:
    """A root with one issuing CA below it."""

    def __init__(self, name: str = "Test") -> None:
        self.root_key = ec.generate_private_key(ec.SECP256R1())
        self.root = self._ca(f"{name} root", self.root_key.public_key(), None, 1)
        self.issuing_key = ec.generate_private_key(ec.SECP256R1())
        self.issuing = self._ca(f"{name} issuing", self.issuing_key.public_key(), self.root, 0)

    @property
    def pin(self) -> str:
        return ca_pin(spki(self.root_key.public_key()))

    def server(
        self, folder: Path, *, host: str = "127.0.0.1", days: tuple[float, float] = (-1, 30)
    ) -> ssl.SSLContext:  # fmt: skip
        """A server's context: TLS 1.3, client certificates welcome but not demanded."""
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            name: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            name = x509.DNSName(host)
        certificate = self._leaf(key.public_key(), host, [name], ExtendedKeyUsageOID.SERVER_AUTH, days)
        path = folder / f"server-{certificate.serial_number:x}.pem"
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(secret + pem(certificate, self.issuing))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(path)
        context.load_verify_locations(cadata=pem(self.root, self.issuing).decode())
        context.verify_mode = ssl.CERT_OPTIONAL
        return context

    def sensor(
        self, key: ec.EllipticCurvePublicKey, *, days: tuple[float, float] = (-1, 30), name: str | None = None
    ) -> x509.Certificate:
        """A sensor's certificate; `name` other than its key's own makes a wrong one."""
        name = sensor_id(spki(key)) if name is None else name
        uris = [x509.UniformResourceIdentifier(uri) for uri in (SENSOR_URN + name, ASSURANCE_URN + "software")]
        return self._leaf(key, name, uris, ExtendedKeyUsageOID.CLIENT_AUTH, days)

    def _ca(
        self, name: str, key: ec.EllipticCurvePublicKey, issuer: x509.Certificate | None, path_length: int
    ) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(subject, issuer.subject if issuer else subject, key, (-10, 3650))
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        return (
            builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
            .add_extension(usage, critical=True)
            .sign(self.root_key, hashes.SHA256())
        )

    def _leaf(
        self,
        key: ec.EllipticCurvePublicKey,
        name: str,
        alternatives: list[x509.UniformResourceIdentifier] | list[x509.GeneralName],
        purpose: x509.ObjectIdentifier,
        days: tuple[float, float],
    ) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        return (
            self._builder(subject, self.issuing.subject, key, days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .sign(self.issuing_key, hashes.SHA256())
        )

    def _builder(
        self, subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: tuple[float, float]
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW + days[0] * DAY)
            .not_valid_after(NOW + days[1] * DAY)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )
