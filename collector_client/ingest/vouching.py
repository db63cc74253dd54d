"""Which key of a sensor may vouch for the next one.

    proved by               renewal: mutual TLS          recovery: a signature over the request
    by a key that is        unused or current            unused or current
    certificate's date      good, or TLS refuses it      over for `recovery_ns` at most

Of a sensor with a secure element no such key may: only the element's (`element.py`). A sensor that is revoked, or in
quarantine (clones.py, or a forked sequence) until the operator releases it, renews and recovers nothing.

Rules of this file: looked up in the caller's transaction, so that it holds when the certificate is kept. Who proves a
superseded key gets nothing: it may be a copy.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from appliance.wire.codes import SessionCode
from appliance.wire.enrollment import RecoveryRequest
from appliance.wire.fields import format_clock
from collector_client.attest import SECURE_ELEMENT, SOFTWARE
from collector_client.ingest.peer import quarantined
from collector_client.ingest.refuse import RefusedError, refuse
from collector_client.store import keys, sensors
from collector_client.store.keys import KeyRecord
from collector_client.store.sensors import SensorRecord

_DAY_NS = 86_400 * 10**9


class Voucher(NamedTuple):
    """A sensor and the key of it that may vouch."""

    sensor: SensorRecord
    key: KeyRecord


def renewing(connection: sqlite3.Connection, sensor_id: str, key_id: str, now_ns: int) -> Voucher:
    """The sensor and its key, when mutual TLS has proved the key.

    Raises:
        RefusedError: the sensor is unknown, revoked or in quarantine, or the key is superseded.
    """
    record = standing(connection, sensor_id)
    if record.assurance == SECURE_ELEMENT:
        # The key is a file for a day. Could it renew itself, a copied disk would be good for ever.
        raise refuse(SessionCode.ELEMENT_MUST_SIGN, f"the word of the key {key_id}", "that of its secure element")
    key = keys.find(connection, key_id)
    if key is None or key.state(now_ns) not in ("unused", "current"):
        raise refuse(SessionCode.KEY_SUPERSEDED, f"the key {key_id}", "the sensor's newest key")
    return Voucher(record, key)


def standing(connection: sqlite3.Connection, sensor_id: str) -> SensorRecord:
    """The record of a sensor that is neither revoked nor in quarantine.

    Raises:
        RefusedError: it is, or unknown.
    """
    record = sensors.find(connection, sensor_id)
    if record is None:
        raise refuse(SessionCode.SENSOR_UNKNOWN, sensor_id, "a sensor with a record here")
    if record.revoked_ns is not None:
        raise refuse(SessionCode.SENSOR_REVOKED, f"{sensor_id}, revoked", "a sensor that is not revoked")
    if record.quarantined_ns is not None:
        raise quarantined(record)
    return record


def recovering(
    connection: sqlite3.Connection, sensor_id: str, key_id: str, now_ns: int, *, production: bool, recovery_ns: int
) -> Voucher:
    """The sensor and its key, when a signature has proved the key and its certificate is out of date.

    Raises:
        RefusedError: as `renewing`; or the key is not for production, or it is too late.
    """
    found = renewing(connection, sensor_id, key_id, now_ns)
    if production and found.sensor.assurance == SOFTWARE:
        raise refuse(SessionCode.KEY_IN_SOFTWARE, f"assurance {SOFTWARE}", "a hardware key")
    check_not_too_late(found.key.not_after_ns or 0, now_ns, recovery_ns)
    return found


def check_not_too_late(ended_ns: int, now_ns: int, recovery_ns: int) -> None:
    """Raises `RefusedError` when a certificate ended longer ago than we allow."""
    if now_ns - ended_ns > recovery_ns:
        came = f"a certificate that ended {format_clock(ended_ns)}"
        raise refuse(SessionCode.RECOVERY_TOO_LATE, came, f"at most {recovery_ns // _DAY_NS} days ago")


def known(connection: sqlite3.Connection, request: RecoveryRequest) -> KeyRecord:
    """The key that a recovery names.

    Raises:
        RefusedError: the sensor has no record, or no such key.
    """
    record, named = sensors.find(connection, request.sensor_id), keys.find(connection, request.key_id)
    if record is None or named is None or named.sensor_id != request.sensor_id:
        came = f"{request.sensor_id} with the key {request.key_id}"
        raise refuse(SessionCode.SENSOR_UNKNOWN, came, "one with a record here")
    return named


def check_signed(request: RecoveryRequest, named: KeyRecord) -> None:
    """See that the request bears the signature of the key whose certificate is on record.

    Raises:
        RefusedError: it does not.
    """
    try:
        public_key = x509.load_der_x509_certificate(named.certificate or b"").public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise _unsigned(request) from None
    if not isinstance(public_key, ec.EllipticCurvePublicKey):
        raise _unsigned(request)
    check_signed_by(request, public_key)


def check_signed_by(request: RecoveryRequest, key: ec.EllipticCurvePublicKey) -> None:
    """See that the request bears the signature of that key.

    Raises:
        RefusedError: it does not.
    """
    try:
        key.verify(request.proof_der, request.statement(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise _unsigned(request) from None


def _unsigned(request: RecoveryRequest) -> RefusedError:
    came = f"a recovery of {request.sensor_id}"
    return refuse(SessionCode.PROOF_INVALID, came, f"one signed by {request.key_id}")
