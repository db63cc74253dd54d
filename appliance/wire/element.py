"""The words of a sensor whose key is in a secure element, both roles, without I/O.

    sensor                                             collector
      POST /.well-known/vedette/element-enroll
           ElementEnrollment, HTTP Basic with the
           token                                   ->
                                   <- certs-only       or a Refusal
      POST /.well-known/vedette/element-renew
           RecoveryRequest                         ->
                                   <- certs-only       the same name, a new key, a later end

A secure element cannot sign in TLS here, so its key never has a certificate: it is what the sensor is named by and what
signs for the keys that have one. Those are files and live for a day (`ELEMENT_DAYS`); each is asked for by a
`RecoveryRequest` that the element signs, `key_id` being the id of the element's key. In the first one the sensor names
itself by that key; whose record it becomes is the token's to say.

Rules of this file: the element's key proves itself by its own PKCS#10 request, once; which key that may be is pinned in
the token, because a secure element of this class cannot prove to a stranger that it is one.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

from appliance.wire.enrollment import MAX_CSR_BYTES, MAX_RECOVERY_BYTES, RecoveryRequest, decode_base64
from appliance.wire.fields import dump_object, load_object

ELEMENT_ENROLL_PATH = "/.well-known/vedette/element-enroll"
ELEMENT_RENEW_PATH = "/.well-known/vedette/element-renew"

ELEMENT_DAYS = 1
"""Life of a certificate that an element signs for: what a copied disk is worth, at most. It costs the box nothing to be
late: the element signs for the next one also when the last is over."""
MAX_ENROLLMENT_BYTES = MAX_CSR_BYTES + MAX_RECOVERY_BYTES


@dataclass(frozen=True, slots=True)
class ElementEnrollment:
    """The element's key and its first word: `identity` is a PKCS#10 request in DER by the element's key, `asked` what
    it signs for. Neither signature is checked here.
    """

    identity: bytes
    asked: RecoveryRequest

    def to_json(self) -> bytes:
        """The body of the request."""
        return dump_object(
            {"identity": base64.b64encode(self.identity).decode("ascii"), "asked": self.asked.to_fields()}
        )

    @staticmethod
    def from_json(data: bytes) -> ElementEnrollment:
        """Read an enrollment.

        Raises:
            SessionError: larger than allowed, not JSON, a field missing or of another form.
        """
        fields = load_object("element enrollment", data, MAX_ENROLLMENT_BYTES)
        identity = fields.text("identity", MAX_CSR_BYTES).encode()
        return ElementEnrollment(
            decode_base64("element enrollment.identity", identity, MAX_CSR_BYTES),
            RecoveryRequest.from_fields(fields.fields("asked")),
        )
