"""From a client certificate to a sensor's identity, and from the sensor's record to leave to speak.

Rules of this file: TLS has proved that the peer holds the key and that a CA of ours signed it, be it a retired one
(TLS could only cut the connection; the refusal here says what to do). Here the key is looked up among the named
sensor's, because a name alone proves nothing, and dates are checked again, because a connection may outlive them.
Tenant, assurance, revocation and the key's state come from the record, looked up for every request. No sockets, no
clock of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from appliance.wire.codes import SessionCode
from appliance.wire.enrollment import ASSURANCE_URN, SENSOR_URN, parse_sensor_id, sensor_id
from appliance.wire.fields import SessionError, format_clock
from collector_client.attest import SOFTWARE
from collector_client.ingest.refuse import RefusedError, refuse
from collector_client.store.keys import KeyRecord
from collector_client.store.sensors import SensorRecord


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """What a client certificate says; `key_id` is made from its key, `sensor_id` is the name that it bears."""

    sensor_id: str
    key_id: str
    assurance: str
    not_before_ns: int
    not_after_ns: int


@lru_cache(maxsize=4096)
def read_certificate(der: bytes) -> PeerCertificate | None:
    """The identity in a certificate that TLS has verified; None when it is not a sensor's."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        key_id = sensor_id(certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
        uris = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
            x509.UniformResourceIdentifier
        )
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (ValueError, UnsupportedAlgorithm, x509.ExtensionNotFound, x509.InvalidVersion, x509.DuplicateExtension):
        return None
    assurances = [uri.removeprefix(ASSURANCE_URN) for uri in uris if uri.startswith(ASSURANCE_URN)]
    names = [uri.removeprefix(SENSOR_URN) for uri in uris if uri.startswith(SENSOR_URN)]
    if len(names) != 1 or len(assurances) != 1 or ExtendedKeyUsageOID.CLIENT_AUTH not in usage:
        return None
    try:
        name = parse_sensor_id(names[0])
    except SessionError:
        return None
    return PeerCertificate(
        name,
        key_id,
        assurances[0],
        int(certificate.not_valid_before_utc.timestamp()) * 1_000_000_000,
        int(certificate.not_valid_after_utc.timestamp()) * 1_000_000_000,
    )


class Admitted(NamedTuple):
    """Who speaks, and by which of its keys."""

    sensor: SensorRecord
    key: KeyRecord


class Gate:
    """Says of each request whose it is, or why it may not speak."""

    def __init__(
        self,
        find: Callable[[str, str], tuple[SensorRecord | None, KeyRecord | None]],
        *,
        accepts: Callable[[bytes], bool],
        production: bool,
    ) -> None:
        """`find` looks up the record of a sensor and of a key; `accepts` says whether a certificate (DER) was
        issued by a CA that is trusted now; `production` refuses keys in software.
        """
        self._find = find
        self._accepts = accepts
        self._production = production

    def admit(self, certificate_der: bytes | None, now_ns: int) -> Admitted:
        """The record of the sensor that sends a request.

        Raises:
            RefusedError: no certificate, not a sensor's, out of date, no record, revoked, not one of its keys or one
            that is superseded, of a retired CA, or not fit for production; its `subject` is the sensor that the
            certificate names.
        """
        if certificate_der is None:
            raise refuse(SessionCode.CERTIFICATE_MISSING, "no client certificate", "one that this collector issued")
        peer = read_certificate(certificate_der)
        if peer is None:
            raise refuse(
                SessionCode.CERTIFICATE_FOREIGN,
                "a certificate that names no sensor",
                f"SAN URI {SENSOR_URN}<id of its first key>",
            )
        try:
            return self._admit(peer, now_ns, accepted=self._accepts(certificate_der))
        except RefusedError as error:
            error.subject = peer.sensor_id
            raise

    def _admit(self, peer: PeerCertificate, now_ns: int, *, accepted: bool) -> Admitted:
        if not peer.not_before_ns <= now_ns <= peer.not_after_ns:
            span = f"{format_clock(peer.not_before_ns)} to {format_clock(peer.not_after_ns)}"
            raise refuse(SessionCode.CERTIFICATE_EXPIRED, f"a certificate for {span}", format_clock(now_ns))
        record, key = self._find(peer.sensor_id, peer.key_id)
        if record is None:
            raise refuse(SessionCode.SENSOR_UNKNOWN, peer.sensor_id, "a sensor with a record here")
        if record.revoked_ns is not None:
            raise self._revoked(record)
        if key is None or key.sensor_id != record.sensor_id:
            came = f"a certificate of {record.sensor_id} for the key {peer.key_id}"
            raise refuse(SessionCode.CERTIFICATE_FOREIGN, came, "a key that was issued to it")
        if key.state(now_ns) == "ended":
            raise superseded(key)
        # Only now, so that whoever hears it knows that its key is on record and may ask for the next certificate.
        if not accepted:
            came = f"a certificate of {record.sensor_id} by a CA that was retired"
            raise refuse(SessionCode.AUTHORITY_RETIRED, came, "one of a CA that is trusted now")
        if self._production and SOFTWARE in (record.assurance, peer.assurance):
            raise refuse(SessionCode.KEY_IN_SOFTWARE, f"assurance {SOFTWARE}", "a hardware key")
        return Admitted(record, key)

    @staticmethod
    def _revoked(record: SensorRecord) -> RefusedError:
        since = format_clock(record.revoked_ns or 0)
        return refuse(
            SessionCode.SENSOR_REVOKED, f"{record.sensor_id}, revoked {since}", "a sensor that is not revoked"
        )


def superseded(key: KeyRecord) -> RefusedError:
    """The refusal of a key that a later one has taken the place of."""
    since = format_clock(key.ends_ns or 0)
    return refuse(SessionCode.KEY_SUPERSEDED, f"the key {key.key_id}, superseded {since}", "the sensor's newest key")


def quarantined(record: SensorRecord) -> RefusedError:
    """The refusal of a sensor that the operator has not released yet."""
    since = format_clock(record.quarantined_ns or 0)
    came = f"{record.sensor_id}, since {since}: {record.quarantine_reason}"
    return refuse(SessionCode.SENSOR_QUARANTINED, came, "a sensor that is not in quarantine")
