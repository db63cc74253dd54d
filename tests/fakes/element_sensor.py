"""A sensor with a secure element as the collector meets it: the element is a key that only signs; the key that speaks
is another one each day.

Rules of this file: as `sensor.py`: real TLS, and the freedom to misbehave.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from appliance.wire.element import ELEMENT_ENROLL_PATH, ELEMENT_RENEW_PATH, ElementEnrollment
from appliance.wire.enrollment import EnrollmentToken, RecoveryRequest
from tests.fakes.sensor import Answer, FakeSensor, key_id


def fresh_key() -> ec.EllipticCurvePrivateKey:
    """Of a file, or of an element."""
    return ec.generate_private_key(ec.SECP256R1())


class ElementSensor(FakeSensor):
    """`element` signs, `key` speaks."""

    def __init__(self, address: str, element: ec.EllipticCurvePrivateKey | None = None) -> None:
        super().__init__(address)
        self.element = element or fresh_key()
        self.sensor_id = key_id(self.element)

    @property
    def digest(self) -> bytes:
        """What an operator pins."""
        spki = self.element.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return hashlib.sha256(spki).digest()

    def word(
        self,
        key: ec.EllipticCurvePrivateKey,
        *,
        by: ec.EllipticCurvePrivateKey | None = None,
        named: str = "",
    ) -> RecoveryRequest:
        """What the element says for a key; `by` another one, in whose name or in `named`'s."""
        asked = RecoveryRequest(named or self.sensor_id, key_id(self.element), base64.b64decode(self.csr(key)))
        return replace(asked, proof_der=(by or self.element).sign(asked.statement(), ec.ECDSA(hashes.SHA256())))

    def enroll_element(self, token: str, asked: RecoveryRequest | None = None, identity: bytes = b"") -> Answer:
        """Ask for the first certificate, and keep it."""
        self.learn_ca()
        headers = {"Authorization": EnrollmentToken.parse(token).authorization()}
        came = ElementEnrollment(
            identity or base64.b64decode(self.csr(self.element)),
            asked or self.word(self.key, named=key_id(self.element)),
        )
        self.certificate = None
        return self._keep(self.request("POST", ELEMENT_ENROLL_PATH, came.to_json(), headers))

    def next_key(self, asked: RecoveryRequest | None = None) -> Answer:
        """Ask for the next certificate, and use it when it comes; nobody shows one for that."""
        fresh, before = fresh_key(), self.certificate
        self.disconnect()
        self.certificate = None
        answer = self._keep(self.request("POST", ELEMENT_RENEW_PATH, (asked or self.word(fresh)).to_json()))
        if answer.status != 200:
            self.certificate = before
        elif asked is None:
            self.key = fresh
        return answer
