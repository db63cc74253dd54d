"""The collector's half of a key in a secure element: what signs for a key that lives a day, and whose word that is.

    enrollment: token \\ element's key    the one it pins      another           any
    pins a key                          enroll               TOKEN_OTHER_KEY
    pins a key, used by it before       as a renewal         TOKEN_OTHER_KEY
    pins none                                                                  ELEMENT_UNPINNED

    key that is signed for    new       issued, not used yet       used, superseded, another sensor's
                              issued    the same certificate,      KEY_TAKEN
                                        unless it is over

Rules of this file: a secure element of this class proves nothing about itself, so its key is taken by the operator's
word alone (the pin in the token), and production takes it by that word. The element's key names the sensor and never
speaks itself. What it signs for is fresh each time: a key that has spoken gets no second certificate, so that who has a
copy of it, and even of the element's word for it, has it for a day.
"""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
from dataclasses import dataclass
from typing import NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from appliance.wire.codes import SessionCode
from appliance.wire.element import ELEMENT_DAYS
from appliance.wire.enrollment import EnrollmentToken, RecoveryRequest, sensor_id
from collector_client.attest import SECURE_ELEMENT
from collector_client.ingest import vouching
from collector_client.ingest.enrollment import Enrollment, check_open
from collector_client.ingest.peer import quarantined
from collector_client.ingest.refuse import RefusedError, refuse
from collector_client.ingest.renewal import Renewal
from collector_client.pki.profile import spki_der
from collector_client.store import audit, elements, keys, sensors, tokens
from collector_client.store.elements import ElementRecord
from collector_client.store.sensors import SensorRecord
from collector_client.store.tokens import TokenRecord

_ACTOR = "ingest"


@dataclass(frozen=True, slots=True)
class Elements:
    """Enrolls and renews sensors that are named by a key in a secure element."""

    enrollment: Enrollment
    renewal: Renewal

    def enroll(
        self,
        token: EnrollmentToken,
        element: ec.EllipticCurvePublicKey,
        asked: RecoveryRequest,
        key: ec.EllipticCurvePublicKey,
        address: str,
        now_ns: int,
    ) -> bytes:
        """The certificate (DER) for a key that the element signs for; `key` is the request's in `asked`.

        Raises:
            RefusedError: token, element or key may not come in, or the element has not signed.
            StoreError: the store failed; nothing happened, the sensor may ask again.
        """
        with self.enrollment.control.transaction() as connection:
            found = tokens.check(connection, token.token_id, token.secret)
            if found is None:
                raise refuse(SessionCode.TOKEN_UNKNOWN, f"token {token.token_id}", "an open token of this collector")
            element_key_id = _check_pin(found, element)
            if asked.key_id != element_key_id or asked.sensor_id != element_key_id:
                came = f"a word of {asked.sensor_id} by {asked.key_id}"
                raise refuse(SessionCode.PROOF_INVALID, came, f"one of {element_key_id}, by itself")
            vouching.check_signed_by(asked, element)
            name, record, bound = _owner(connection, found, element_key_id)
            _check_fresh(connection, name, element_key_id, key)
            if record is not None and bound is not None and bound.token_id == found.token_id:
                # The answer was lost. Its element's word gets the box as much by a renewal, so for as long.
                return self._reissue(connection, record, bound, key, address, now_ns)
            check_open(found, now_ns)
            made = self.enrollment.issue(
                connection, found, record, key, SECURE_ELEMENT, address, now_ns, element_key_id=element_key_id
            )
            if bound is None:
                elements.bind(connection, element_key_id, name, spki_der(element), found.token_id, now_ns)
                detail = f"key {element_key_id}, pinned by {found.made_by or 'operator'} with token {found.token_id}"
                audit.record(connection, now_ns, _ACTOR, "bind element", name, detail)
            return made.der

    def renew(self, asked: RecoveryRequest, key: ec.EllipticCurvePublicKey, address: str, now_ns: int) -> bytes:
        """The certificate (DER) for the next key of a sensor, by the word of its element.

        Raises:
            RefusedError: the sensor or its element is unknown, revoked, in quarantine or replaced, has not signed, or
            the key is not a fresh one.
            StoreError: the store failed; nothing happened, the sensor may ask again.
        """
        with self.renewal.deciding("renew refused", asked.sensor_id) as connection:
            element = elements.find(connection, asked.key_id)
            if element is None or element.sensor_id != asked.sensor_id:
                came = f"{asked.sensor_id} with the element's key {asked.key_id}"
                raise refuse(SessionCode.SENSOR_UNKNOWN, came, "one with a record here")
            vouching.check_signed_by(asked, _public_key(element))
            _check_counts(element)
            record = vouching.standing(connection, element.sensor_id)
            _check_fresh(connection, element.sensor_id, element.key_id, key)
            return self._reissue(connection, record, element, key, address, now_ns)

    def _reissue(
        self,
        connection: sqlite3.Connection,
        record: SensorRecord,
        element: ElementRecord,
        key: ec.EllipticCurvePublicKey,
        address: str,
        now_ns: int,
    ) -> bytes:
        vouching.check_not_too_late(record.cert_not_after_ns or 0, now_ns, self.renewal.recovery_ns)
        detail = f"by its element's key {element.key_id}, from {address}"
        issued = self.renewal.issue(
            connection, record, key, SECURE_ELEMENT, now_ns, "renew", detail, days=ELEMENT_DAYS
        )  # fmt: skip
        return issued.certificate


def _check_pin(token: TokenRecord, element: ec.EllipticCurvePublicKey) -> str:
    """The id of the element's key, when the token pins it."""
    spki = spki_der(element)
    digest = hashlib.sha256(spki).digest()
    if token.key_sha256 is None:
        raise refuse(SessionCode.ELEMENT_UNPINNED, f"the key {digest.hex()}", "a key that the token pins")
    if not hmac.compare_digest(token.key_sha256, digest):
        raise refuse(SessionCode.TOKEN_OTHER_KEY, f"the key {digest.hex()}", f"the key {token.key_sha256.hex()}")
    return sensor_id(spki)


class _Owner(NamedTuple):
    """The sensor that an element signs for, and what is on record of both."""

    name: str
    record: SensorRecord | None
    element: ElementRecord | None


def _owner(connection: sqlite3.Connection, token: TokenRecord, element_key_id: str) -> _Owner:
    """Whose an element is, coming with this token."""
    element = elements.find(connection, element_key_id)
    if element is not None:
        _check_counts(element)
        name = element.sensor_id
        if token.for_sensor not in (None, name):
            raise refuse(SessionCode.KEY_TAKEN, f"the key {element_key_id}", f"a new key, or {token.for_sensor}'s")
    else:
        name = token.for_sensor or element_key_id
        if keys.find(connection, element_key_id) is not None:
            raise refuse(SessionCode.KEY_TAKEN, f"the key {element_key_id}", "one that has never spoken itself")
    record = sensors.find(connection, name)
    # What was held against a sensor's keys does not stand against a new one that its operator lets go on.
    if record is not None and (element is not None or token.for_sensor is None):
        if record.revoked_ns is not None:
            raise refuse(SessionCode.SENSOR_REVOKED, f"the key of {name}", "a key that is not revoked")
        if record.quarantined_ns is not None:
            raise quarantined(record)
    return _Owner(name, record, element)


def _check_fresh(
    connection: sqlite3.Connection, name: str, element_key_id: str, key: ec.EllipticCurvePublicKey
) -> None:
    """Raises `RefusedError` unless the key that is signed for is new, or one that waits for its first use."""
    asked = sensor_id(spki_der(key))
    known = keys.find(connection, asked)
    is_fresh = known is None or (known.sensor_id == name and known.first_used_ns is None and known.ends_ns is None)
    if asked == element_key_id or elements.find(connection, asked) is not None or not is_fresh:
        raise refuse(SessionCode.KEY_TAKEN, f"the key {asked}", "a fresh key")


def _check_counts(element: ElementRecord) -> None:
    if element.ended_ns is not None:
        came = f"the element's key {element.key_id}"
        raise refuse(SessionCode.KEY_SUPERSEDED, came, f"the key that {element.sensor_id} goes on with")


def _public_key(element: ElementRecord) -> ec.EllipticCurvePublicKey:
    try:
        key = load_der_public_key(element.spki)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise _unreadable(element)
    return key


def _unreadable(element: ElementRecord) -> RefusedError:
    return refuse(SessionCode.COLLECTOR_FAILED, f"a record of {element.key_id} that does not read", "a P-256 key")
