"""The collector's half of renewal: a sensor that proves its present key gets a certificate for the same or a new one.

    key asked for           new          unused, the sensor's own   current        superseded     another sensor's
    renew, recover          issued       the same certificate       issued anew    KEY_SUPERSEDED KEY_TAKEN

    proved by               renew: mutual TLS            recover: a signature over the request
    by a key that is        unused or current            unused or current
    certificate's date      good, or TLS refuses it      over for `recovery_ns` at most

A sensor in quarantine (clones.py, or a forked sequence) renews and recovers nothing until the operator releases it.

Rules of this file: one transaction keeps the certificate and writes the audit row. Who proves a superseded key gets
nothing: it may be a copy. A key that is not proved to live in hardware does not take the place of one that is, and
what was proved of a key stays true of it: renewed, it keeps the sensor's assurance. Every refusal to a known sensor
says whose it is to the audit, because each is what a stolen disk would cause.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from appliance.wire.codes import SessionCode
from appliance.wire.enrollment import RecoveryRequest, sensor_id
from appliance.wire.fields import format_clock
from collector_client.attest import SOFTWARE
from collector_client.ingest.issuer import Issuer
from collector_client.ingest.peer import quarantined, superseded
from collector_client.ingest.refuse import RefusedError, refuse
from collector_client.pki.profile import spki_der
from collector_client.store import Control, audit, keys, sensors
from collector_client.store.keys import KeyRecord
from collector_client.store.sensors import SensorRecord

_ACTOR = "ingest"


@dataclass(frozen=True, slots=True)
class Renewal:
    """Renews certificates of one store with one issuer."""

    control: Control
    issuer: Issuer
    certificate_days: int
    production: bool
    grace_ns: int
    recovery_ns: int

    def first_use(self, key: KeyRecord, now_ns: int) -> None:
        """A key speaks for the first time: the one before it is superseded.

        Raises:
            StoreError: the store failed.
        """
        with self.control.transaction() as connection:
            self._use(connection, key, now_ns)

    def quarantine(self, sensor_id: str, reason: str, now_ns: int) -> None:
        """There seem to be two holders of the sensor's key: neither's batches are taken, neither renews.

        Raises:
            StoreError: the store failed.
        """
        with self.control.transaction() as connection:
            if sensors.quarantine(connection, sensor_id, reason, now_ns):
                audit.record(connection, now_ns, _ACTOR, "quarantine", sensor_id, reason)

    def renew(self, proved: KeyRecord, key: ec.EllipticCurvePublicKey, address: str, now_ns: int) -> bytes:
        """A certificate (DER) for a key asked for over mutual TLS with the key `proved`.

        Raises:
            RefusedError: the key proved is superseded, or the key asked for may not be had.
            StoreError: the store failed; nothing happened, the sensor may ask again.
        """
        with self._deciding("renew refused", proved.sensor_id) as connection:
            record = sensors.find(connection, proved.sensor_id)
            if record is None:
                raise refuse(SessionCode.SENSOR_UNKNOWN, proved.sensor_id, "a sensor with a record here")
            if record.quarantined_ns is not None:
                raise quarantined(record)
            self._check_key(connection, proved.key_id, now_ns)
            return self._issue(connection, record, key, now_ns, "renew", f"by key {proved.key_id}, from {address}")

    def recover(
        self, request: RecoveryRequest, key: ec.EllipticCurvePublicKey, address: str, now_ns: int
    ) -> bytes:  # fmt: skip
        """A certificate (DER) for a sensor whose present one is out of date; `key` is the request's.

        Raises:
            RefusedError: unknown, not signed by the key it names, revoked, superseded, too late, or not for production.
            StoreError: the store failed; nothing happened, the sensor may ask again.
        """
        name = request.sensor_id
        with self.control.reading() as connection:
            record, proved = sensors.find(connection, name), keys.find(connection, request.key_id)
        if record is None or proved is None or proved.sensor_id != name:
            raise refuse(SessionCode.SENSOR_UNKNOWN, f"{name} with the key {request.key_id}", "one with a record here")
        with self._deciding("recover refused", name) as connection:
            if not _signed(request, proved):
                raise refuse(SessionCode.PROOF_INVALID, f"a recovery of {name}", f"one signed by {request.key_id}")
            if record.revoked_ns is not None:
                raise refuse(SessionCode.SENSOR_REVOKED, f"{name}, revoked", "a sensor that is not revoked")
            if record.quarantined_ns is not None:
                raise quarantined(record)
            if self.production and record.assurance == SOFTWARE:
                raise refuse(SessionCode.KEY_IN_SOFTWARE, f"assurance {SOFTWARE}", "a hardware key")
            proved = self._check_key(connection, request.key_id, now_ns)
            late_ns = now_ns - (proved.not_after_ns or 0)
            if late_ns > self.recovery_ns:
                came = f"a certificate that ended {format_clock(proved.not_after_ns or 0)}"
                allowed = f"at most {self.recovery_ns // (86_400 * 10**9)} days ago"
                raise refuse(SessionCode.RECOVERY_TOO_LATE, came, allowed)
            self._use(connection, proved, now_ns)
            since = format_clock(proved.not_after_ns or 0)
            detail = f"by key {proved.key_id}, whose certificate ended {since}, from {address}"
            return self._issue(connection, record, key, now_ns, "recover", detail)

    @contextlib.contextmanager
    def _deciding(self, action: str, name: str) -> Iterator[sqlite3.Connection]:
        """A transaction; a refusal undoes it and bears what the audit is to say."""
        try:
            with self.control.transaction() as connection:
                yield connection
        except RefusedError as error:
            error.action, error.subject = action, name
            raise

    def _use(self, connection: sqlite3.Connection, key: KeyRecord, now_ns: int) -> None:
        before = keys.use(connection, key.key_id, now_ns, self.grace_ns)
        if before is not None:
            detail = f"by {key.key_id}; the old key ends {format_clock(now_ns + self.grace_ns)}"
            audit.record(connection, now_ns, _ACTOR, "supersede key", key.sensor_id, f"{before} {detail}")

    @staticmethod
    def _check_key(connection: sqlite3.Connection, key_id: str, now_ns: int) -> KeyRecord:
        """The key as it is now, within the transaction; one that may renew."""
        proved = keys.find(connection, key_id)
        if proved is None or proved.state(now_ns) not in ("unused", "current"):
            raise refuse(SessionCode.KEY_SUPERSEDED, f"the key {key_id}", "the sensor's newest key")
        return proved

    def _issue(
        self,
        connection: sqlite3.Connection,
        record: SensorRecord,
        key: ec.EllipticCurvePublicKey,
        now_ns: int,
        action: str,
        detail: str,
    ) -> bytes:
        asked = sensor_id(spki_der(key))
        known = keys.find(connection, asked)
        if known is None and record.assurance != SOFTWARE:
            allowed = f"the proved key: nothing proves that another has assurance {record.assurance}"
            raise refuse(SessionCode.KEY_DIFFERS, f"the key {asked}", allowed)
        if known is not None and known.sensor_id != record.sensor_id:
            raise refuse(SessionCode.KEY_TAKEN, f"the key {asked}", f"a new key, or the one of {record.sensor_id}")
        if known is not None and known.state(now_ns) in ("superseded", "ended"):
            raise superseded(known)
        if known is not None and known.state(now_ns) == "unused" and now_ns < (known.not_after_ns or 0):
            return known.certificate or b""
        made = self.issuer.issue_sensor(key, now_ns, self.certificate_days, record.assurance, name=record.sensor_id)
        keys.issue(connection, asked, record.sensor_id, made.der, made.not_after_ns, now_ns)
        sensors.set_certificate(connection, record.sensor_id, made.der, made.not_after_ns)
        until = format_clock(made.not_after_ns)
        detail = f"key {asked}, assurance {made.assurance}, until {until}, {detail}"
        audit.record(connection, now_ns, _ACTOR, action, record.sensor_id, detail)
        return made.der


def _signed(request: RecoveryRequest, proved: KeyRecord) -> bool:
    """Whether the request bears the signature of the key whose certificate is on record."""
    try:
        public_key = x509.load_der_x509_certificate(proved.certificate or b"").public_key()
        if not isinstance(public_key, ec.EllipticCurvePublicKey):
            return False
        public_key.verify(request.proof_der, request.statement(), ec.ECDSA(hashes.SHA256()))
    except (ValueError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True
