"""From a client certificate to a sensor's identity, and from the sensor's record to leave to speak.

Rules of this file: TLS has proved that the peer holds the key and that our CA signed it; here the name is checked
against the key, because a name alone proves nothing, and dates are checked again, because a connection may outlive
them. Tenant, assurance and revocation come from the record, looked up for every request. No sockets, no clock of its
own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from appliance.wire.codes import SessionCode
from appliance.wire.enrollment import ASSURANCE_URN, SENSOR_URN, sensor_id
from appliance.wire.fields import format_clock
from collector_client.attest import SOFTWARE
from collector_client.ingest.refuse import RefusedError, refuse
from collector_client.store.sensors import SensorRecord


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """What a client certificate says; `sensor_id` is made from its key and equal to its name."""

    sensor_id: str
    assurance: str
    not_before_ns: int
    not_after_ns: int


@lru_cache(maxsize=4096)
def read_certificate(der: bytes) -> PeerCertificate | None:
    """The identity in a certificate that TLS has verified; None when it is not a sensor's."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        name = sensor_id(certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
        uris = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
            x509.UniformResourceIdentifier
        )
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (ValueError, UnsupportedAlgorithm, x509.ExtensionNotFound, x509.InvalidVersion, x509.DuplicateExtension):
        return None
    assurances = [uri.removeprefix(ASSURANCE_URN) for uri in uris if uri.startswith(ASSURANCE_URN)]
    names = [uri for uri in uris if uri.startswith(SENSOR_URN)]
    if names != [SENSOR_URN + name] or len(assurances) != 1 or ExtendedKeyUsageOID.CLIENT_AUTH not in usage:
        return None
    return PeerCertificate(
        name,
        assurances[0],
        int(certificate.not_valid_before_utc.timestamp()) * 1_000_000_000,
        int(certificate.not_valid_after_utc.timestamp()) * 1_000_000_000,
    )


class Gate:
    """Says of each request whose it is, or why it may not speak."""

    def __init__(self, find: Callable[[str], SensorRecord | None], *, production: bool) -> None:
        """`find` looks a sensor's record up; `production` refuses keys in software."""
        self._find = find
        self._production = production

    def admit(self, certificate_der: bytes | None, now_ns: int) -> SensorRecord:
        """The record of the sensor that sends a request.

        Raises:
            RefusedError: no certificate, not a sensor's, out of date, no record, revoked, or not fit for production.
        """
        if certificate_der is None:
            raise refuse(SessionCode.CERTIFICATE_MISSING, "no client certificate", "one that this collector issued")
        peer = read_certificate(certificate_der)
        if peer is None:
            raise refuse(
                SessionCode.CERTIFICATE_FOREIGN,
                "a certificate without its key's name",
                f"SAN URI {SENSOR_URN}<key's id>",
            )
        if not peer.not_before_ns <= now_ns <= peer.not_after_ns:
            span = f"{format_clock(peer.not_before_ns)} to {format_clock(peer.not_after_ns)}"
            raise refuse(SessionCode.CERTIFICATE_EXPIRED, f"a certificate for {span}", format_clock(now_ns))
        record = self._find(peer.sensor_id)
        if record is None:
            raise refuse(SessionCode.SENSOR_UNKNOWN, peer.sensor_id, "a sensor with a record here")
        if record.revoked_ns is not None:
            raise self._revoked(record)
        if self._production and SOFTWARE in (record.assurance, peer.assurance):
            raise refuse(SessionCode.KEY_IN_SOFTWARE, f"assurance {SOFTWARE}", "a hardware key")
        return record

    @staticmethod
    def _revoked(record: SensorRecord) -> RefusedError:
        since = format_clock(record.revoked_ns or 0)
        return refuse(
            SessionCode.SENSOR_REVOKED, f"{record.sensor_id}, revoked {since}", "a sensor that is not revoked"
        )
