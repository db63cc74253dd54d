"""The collector's half of enrollment: a token and a proven key become a sensor's record and certificate, or nothing
does.

    token \\ key      new                  that used the token     enrolled before with another token
    open             enroll               (cannot be)             new certificate, same record
    used             TOKEN_USED           the same certificate    TOKEN_USED
    expired          TOKEN_EXPIRED        the same certificate    TOKEN_EXPIRED
    revoked          TOKEN_REVOKED        (cannot be)             TOKEN_REVOKED

A token that goes on with a sensor's record (the operator's yes after a reset, a new disk, a new box) takes a new key
for that sensor: its id, its site and its history stay, its other keys end at once, and a revocation or a quarantine,
which were about those, is lifted. A key that is the sensor's already follows the table; another's is KEY_TAKEN.

A token that is for one TPM enrolls no other and no key outside one (TOKEN_OTHER_TPM), and stays open; one that is for a
key in a secure element (`element.py`) enrolls nothing here (TOKEN_OTHER_KEY).

Rules of this file: one transaction marks the token, keeps the record with its certificate and writes the audit row,
so a power cut leaves all of it or none. The same key may ask again (its answer may have been lost) and gets the same
certificate. Tenant and site come from the token, assurance from us; the request says nothing but its key. All keys of
a sensor that may still speak are worth what its record says: what one of them proves ends those that prove less.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from appliance.wire.codes import SessionCode
from appliance.wire.element import ELEMENT_DAYS
from appliance.wire.enrollment import EnrollmentToken, sensor_id
from appliance.wire.fields import format_clock
from collector_client.attest import SECURE_ELEMENT, SOFTWARE
from collector_client.ingest.issuer import Issuer
from collector_client.ingest.peer import quarantined, superseded
from collector_client.ingest.refuse import refuse
from collector_client.pki.profile import SensorCertificate, spki_der
from collector_client.store import Control, audit, elements, keys, sensors, tokens
from collector_client.store.keys import KeyRecord
from collector_client.store.sensors import SensorRecord
from collector_client.store.tokens import TokenRecord

_ACTOR = "ingest"


@dataclass(frozen=True, slots=True)
class Enrollment:
    """Enrolls sensors into one store with one issuer."""

    control: Control
    issuer: Issuer
    certificate_days: int
    production: bool

    def enroll(self, token: EnrollmentToken, key: EllipticCurvePublicKey, address: str, now_ns: int) -> bytes:
        """The certificate (DER) for a key that comes with a token.

        Raises:
            RefusedError: the token is unknown, used, revoked, expired or for a TPM, or the key may not come in.
            StoreError: the store failed; nothing happened, the sensor may ask again.
        """
        with self.control.transaction() as connection:
            found = tokens.check(connection, token.token_id, token.secret)
            if found is None:
                raise refuse(SessionCode.TOKEN_UNKNOWN, f"token {token.token_id}", "an open token of this collector")
            check_pins(found, None)
            name, record, known = owner_for(connection, found, key)
            if record is not None and record.assurance == SECURE_ELEMENT and (known or found.for_sensor is None):
                raise refuse(SessionCode.ELEMENT_MUST_SIGN, f"a key of {name} by itself", "one its element signs for")
            assurance = SOFTWARE if record is None or known is None else record.assurance
            if self.production and assurance == SOFTWARE:
                raise refuse(SessionCode.KEY_IN_SOFTWARE, f"a key with assurance {SOFTWARE}", "a hardware key")
            if found.used_by == name and known is not None and in_date(known, now_ns):
                return known.certificate or b""
            check_open(found, now_ns)
            return self.issue(connection, found, record, key, assurance, address, now_ns).der

    def issue(
        self,
        connection: sqlite3.Connection,
        token: TokenRecord,
        record: SensorRecord | None,
        key: EllipticCurvePublicKey,
        assurance: str,
        address: str,
        now_ns: int,
        *,
        element_key_id: str = "",
    ) -> SensorCertificate:
        """Certificate, record, used token and audit row, inside the caller's transaction; what was proved is decided.

        `element_key_id`: of the key in a secure element that signs for `key`; it names a new sensor.

        Raises:
            RefusedError: the key is enrolled at another site than the token's.
        """
        name = (element_key_id or None) if record is None else record.sensor_id
        days = ELEMENT_DAYS if element_key_id else self.certificate_days
        made = self.issuer.issue_sensor(key, now_ns, days, assurance, name=name)
        if record is None:
            sensors.add(
                connection,
                made.sensor_id,
                token.site_id,
                label=token.label,
                assurance=made.assurance,
                now_ns=now_ns,
                token_id=token.token_id,
                certificate=made.der,
                cert_not_after_ns=made.not_after_ns,
            )
        else:
            if record.site_id != token.site_id:
                came = f"a token for {token.tenant}/{token.site}"
                raise refuse(SessionCode.SENSOR_ELSEWHERE, came, "a token for the site that the key is enrolled at")
            sensors.set_certificate(connection, made.sensor_id, made.der, made.not_after_ns)
        keys.issue(connection, sensor_id(spki_der(key)), made.sensor_id, made.der, made.not_after_ns, now_ns)
        tokens.use(connection, token.token_id, made.sensor_id, now_ns)
        action = "enroll" if record is None else "reenroll"
        detail = (
            f"token {token.token_id}, {token.tenant}/{token.site}, assurance {made.assurance},"
            f" until {format_clock(made.not_after_ns)}, from {address}"
        )
        if token.for_sensor is not None:
            detail += _go_on(connection, token, made, sensor_id(spki_der(key)), element_key_id, now_ns)
        audit.record(connection, now_ns, _ACTOR, action, made.sensor_id, detail)
        return made


def _go_on(
    connection: sqlite3.Connection,
    token: TokenRecord,
    made: SensorCertificate,
    key_id: str,
    element_key_id: str,
    now_ns: int,
) -> str:
    """The record goes on with this key and no other; says in words what that changed and who allowed it."""
    ended = keys.end_others(connection, made.sensor_id, key_id, now_ns)
    ended += elements.end_others(connection, made.sensor_id, element_key_id, now_ns)
    lifted = sensors.readmit(connection, made.sensor_id, made.assurance)
    words = [f"; goes on with key {key_id}, allowed by {token.made_by or 'operator'}"]
    if ended:
        words.append(f"ended {', '.join(ended)}")
    if lifted:
        words.append(f"lifted {' and '.join(lifted)}")
    return "; ".join(words)


class Owner(NamedTuple):
    """Whose a key is: `name` is its sensor's id, which a new key gives itself."""

    name: str
    record: SensorRecord | None
    key: KeyRecord | None


def owner_of(connection: sqlite3.Connection, key: EllipticCurvePublicKey) -> Owner:
    """The sensor that a key belongs to, if to any; each key of a sensor may enroll it again until it is superseded.

    Raises:
        RefusedError: the sensor is revoked or in quarantine, or a later key has taken this one's place.
    """
    key_id = sensor_id(spki_der(key))
    known = keys.find(connection, key_id)
    name = key_id if known is None else known.sensor_id
    record = sensors.find(connection, name)
    if record is not None and record.revoked_ns is not None:
        raise refuse(SessionCode.SENSOR_REVOKED, f"the key of {name}", "a key that is not revoked")
    if record is not None and record.quarantined_ns is not None:
        raise quarantined(record)
    if known is not None and known.ends_ns is not None:
        raise superseded(known)
    return Owner(name, record, known)


def owner_for(connection: sqlite3.Connection, token: TokenRecord, key: EllipticCurvePublicKey) -> Owner:
    """The sensor that a key is to belong to, coming with this token: a new key is the token's sensor's, if it has one.

    Raises:
        RefusedError: as `owner_of`; or the key is another sensor's than the token's.
    """
    key_id = sensor_id(spki_der(key))
    known = keys.find(connection, key_id)
    if token.for_sensor is None or (known is not None and known.sensor_id == token.for_sensor):
        return owner_of(connection, key)
    if known is not None:
        raise refuse(SessionCode.KEY_TAKEN, f"the key {key_id}", f"a new key, or the one of {token.for_sensor}")
    return Owner(token.for_sensor, sensors.find(connection, token.for_sensor), None)


def in_date(key: KeyRecord, now_ns: int) -> bool:
    """Whether the newest certificate issued to the key may still be used."""
    return key.certificate is not None and now_ns < (key.not_after_ns or 0)


def check_pins(token: TokenRecord, ek_sha256: bytes | None) -> None:
    """Raises `RefusedError` when the token is for another TPM than the one that came (None: no TPM came), or for a key
    in a secure element.
    """
    if token.key_sha256 is not None:
        came = "a key that no secure element signs for"
        raise refuse(SessionCode.TOKEN_OTHER_KEY, came, f"the key {token.key_sha256.hex()} in a secure element")
    if token.ek_sha256 is not None and token.ek_sha256 != ek_sha256:
        came = "a key that no TPM vouches for" if ek_sha256 is None else f"the TPM with EK {ek_sha256.hex()}"
        raise refuse(SessionCode.TOKEN_OTHER_TPM, came, f"the TPM with EK {token.ek_sha256.hex()}")


def check_open(token: TokenRecord, now_ns: int) -> None:
    """Raises `RefusedError` when the token is used, revoked or expired."""
    state = token.state(now_ns)
    if state == "used":
        came = f"token {token.token_id}, used by {token.used_by} at {format_clock(token.used_ns or 0)}"
        raise refuse(SessionCode.TOKEN_USED, came, "a token that no other key has used")
    if state == "revoked":
        came = f"token {token.token_id}, revoked at {format_clock(token.revoked_ns or 0)}"
        raise refuse(SessionCode.TOKEN_REVOKED, came, "a token that is open")
    if state == "expired":
        came = f"token {token.token_id}, expired at {format_clock(token.expires_ns)}"
        raise refuse(SessionCode.TOKEN_EXPIRED, came, f"a token that is open at {format_clock(now_ns)}")
