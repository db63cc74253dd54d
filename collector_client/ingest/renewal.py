"""The collector's half of renewal: a sensor that proves its present key gets a certificate for the same or a new one.

    key asked for           new          unused, the sensor's own   current        superseded     another sensor's
    renew, recover          issued       the same certificate,      issued anew    KEY_SUPERSEDED KEY_TAKEN
                                         unless over or of a CA
                                         that is retired

Rules of this file: one transaction keeps the certificate and writes the audit row; who may vouch is `vouching.py`'s. A
key that is not proved to live in hardware does not take the place of one that is (`proved_renewal.py` is the way for
those that are), and what was proved of a key stays true of it: renewed, it keeps the sensor's assurance. Every refusal
to a known sensor says whose it is to the audit, because each is what a stolen disk would cause.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec

from appliance.wire.codes import SessionCode
from appliance.wire.enrollment import RecoveryRequest, sensor_id
from appliance.wire.fields import format_clock
from collector_client.attest import SOFTWARE
from collector_client.ingest import vouching
from collector_client.ingest.issuer import Issuer
from collector_client.ingest.peer import superseded
from collector_client.ingest.refuse import RefusedError, refuse
from collector_client.ingest.vouching import Voucher
from collector_client.pki.profile import spki_der
from collector_client.store import Control, audit, keys, sensors
from collector_client.store.keys import KeyRecord
from collector_client.store.sensors import SensorRecord

_ACTOR = "ingest"


class Issued(NamedTuple):
    """A certificate (DER); `anew`: it was made now, not given again."""

    certificate: bytes
    anew: bool


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
            self.use(connection, key, now_ns)

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
        with self.deciding("renew refused", proved.sensor_id) as connection:
            record, _ = vouching.renewing(connection, proved.sensor_id, proved.key_id, now_ns)
            self._check_unproved(connection, record, key)
            detail = f"by key {proved.key_id}, from {address}"
            return self.issue(connection, record, key, record.assurance, now_ns, "renew", detail).certificate

    def recover(
        self, request: RecoveryRequest, key: ec.EllipticCurvePublicKey, address: str, now_ns: int
    ) -> bytes:  # fmt: skip
        """A certificate (DER) for a sensor whose present one is out of date; `key` is the request's.

        Raises:
            RefusedError: unknown, not signed by the key it names, revoked, superseded, too late, or not for production.
            StoreError: the store failed; nothing happened, the sensor may ask again.
        """
        self.check_signed(request)
        with self.deciding("recover refused", request.sensor_id) as connection:
            record, proved = self.recovering(connection, request.sensor_id, request.key_id, now_ns)
            self._check_unproved(connection, record, key)
            self.use(connection, proved, now_ns)
            detail = recovery_words(proved, address)
            return self.issue(connection, record, key, record.assurance, now_ns, "recover", detail).certificate

    def check_signed(self, request: RecoveryRequest) -> None:
        """See that a recovery is signed by the key that it names, one of the sensor's.

        Raises:
            RefusedError: it is not.
            StoreError: the store failed.
        """
        with self.control.reading() as connection:
            named = vouching.known(connection, request)
        try:
            vouching.check_signed(request, named)
        except RefusedError as error:
            error.action, error.subject = "recover refused", request.sensor_id
            raise

    def recovering(self, connection: sqlite3.Connection, name: str, key_id: str, now_ns: int) -> Voucher:
        """`vouching.recovering` with our settings."""
        return vouching.recovering(
            connection, name, key_id, now_ns, production=self.production, recovery_ns=self.recovery_ns
        )

    @contextlib.contextmanager
    def deciding(self, action: str, name: str) -> Iterator[sqlite3.Connection]:
        """A transaction; a refusal undoes it and bears what the audit is to say."""
        try:
            with self.control.transaction() as connection:
                yield connection
        except RefusedError as error:
            error.action, error.subject = action, name
            raise

    def use(self, connection: sqlite3.Connection, key: KeyRecord, now_ns: int) -> None:
        """The key has spoken, in the caller's transaction."""
        before = keys.use(connection, key.key_id, now_ns, self.grace_ns)
        if before is not None:
            detail = f"by {key.key_id}; the old key ends {format_clock(now_ns + self.grace_ns)}"
            audit.record(connection, now_ns, _ACTOR, "supersede key", key.sensor_id, f"{before} {detail}")

    @staticmethod
    def _check_unproved(connection: sqlite3.Connection, record: SensorRecord, key: ec.EllipticCurvePublicKey) -> None:
        asked = sensor_id(spki_der(key))
        if keys.find(connection, asked) is None and record.assurance != SOFTWARE:
            allowed = f"the proved key, or a new one with a proof as good: the sensor's assurance is {record.assurance}"
            raise refuse(SessionCode.KEY_DIFFERS, f"the key {asked}", allowed)

    def issue(
        self,
        connection: sqlite3.Connection,
        record: SensorRecord,
        key: ec.EllipticCurvePublicKey,
        assurance: str,
        now_ns: int,
        action: str,
        detail: str,
        *,
        days: int | None = None,
    ) -> Issued:
        """The table's row, in the caller's transaction. `days`: the certificate's life, where it is not the usual one.

        Raises:
            RefusedError: the key is another sensor's, or superseded.
        """
        asked = sensor_id(spki_der(key))
        known = keys.find(connection, asked)
        if known is not None and known.sensor_id != record.sensor_id:
            raise refuse(SessionCode.KEY_TAKEN, f"the key {asked}", f"a new key, or the one of {record.sensor_id}")
        if known is not None and known.state(now_ns) in ("superseded", "ended"):
            raise superseded(known)
        if known is not None and assurance == record.assurance and self._is_good(known, now_ns):
            return Issued(known.certificate or b"", anew=False)
        life_days = self.certificate_days if days is None else days
        made = self.issuer.issue_sensor(key, now_ns, life_days, assurance, name=record.sensor_id)
        keys.issue(connection, asked, record.sensor_id, made.der, made.not_after_ns, now_ns)
        sensors.set_certificate(connection, record.sensor_id, made.der, made.not_after_ns)
        until = format_clock(made.not_after_ns)
        detail = f"key {asked}, assurance {made.assurance}, until {until}, {detail}"
        audit.record(connection, now_ns, _ACTOR, action, record.sensor_id, detail)
        return Issued(made.der, anew=True)

    def _is_good(self, known: KeyRecord, now_ns: int) -> bool:
        """Whether the certificate on record is what a sensor that never got it would want."""
        der = known.certificate
        if der is None or known.state(now_ns) != "unused" or now_ns >= (known.not_after_ns or 0):
            return False
        return self.issuer.authority.chains.accepts(der)


def recovery_words(proved: KeyRecord, address: str) -> str:
    """What the audit says of a recovery."""
    return f"by key {proved.key_id}, whose certificate ended {format_clock(proved.not_after_ns or 0)}, from {address}"
