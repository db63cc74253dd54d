"""Where a secure element signs for a key: the handlers of its enrollment and of its renewals.

    path             who may ask                                what decides
    element-enroll   who has a token (`Desk` has asked)         `Elements.enroll`
    element-renew    who signs with an element's known key      `Elements.renew`

Rules of this file: bytes in and out of the wire's words, no rule of its own. The quota comes before the body; nobody
shows a certificate here, because the key that counts cannot sign in TLS.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from appliance.wire.codes import SessionCode
from appliance.wire.element import MAX_ENROLLMENT_BYTES, ElementEnrollment
from appliance.wire.enrollment import CERTIFICATE_MEDIA_TYPE, EnrollmentToken
from appliance.wire.session import SessionError
from collector_client.ingest import intake
from collector_client.ingest.body import check_length, est_answer, read_body
from collector_client.ingest.element import Elements
from collector_client.ingest.issuer import Issuer
from collector_client.ingest.quota import Quota, network_of
from collector_client.ingest.refuse import refuse
from collector_client.pki import CsrError, read_csr_der
from collector_client.store.clock import Clock

log = logging.getLogger("vedette.ingest")


@dataclass(frozen=True, slots=True)
class ElementDesk:
    """Handles what comes from boxes with a secure element; everything it needs is handed in."""

    elements: Elements
    quota: Quota
    issuer: Issuer
    clock: Clock
    request_timeout_s: float

    async def enroll(self, request: web.BaseRequest, token: EnrollmentToken, address: str) -> web.Response:
        """The first word of an element; token and quota were asked."""
        check_length(request, MAX_ENROLLMENT_BYTES)
        body = await read_body(request, MAX_ENROLLMENT_BYTES, self.request_timeout_s)
        try:
            came = ElementEnrollment.from_json(body)
        except SessionError as error:
            raise refuse(SessionCode.REQUEST_INVALID, error.came, error.allowed) from error
        element, key = _key_of(came.identity), _key_of(came.asked.request)
        now_ns = self.clock.wall_ns()
        certificate = await self.issuer.call(
            lambda: self.elements.enroll(token, element, came.asked, key, address, now_ns)
        )
        log.info("enrolled a secure element with token %s from %s", token.token_id, address)
        return self._issued(certificate)

    async def renew(self, request: web.BaseRequest) -> web.Response:
        """An element's word for the next key."""
        address = request.remote or "unknown"
        intake.throttle(self.quota, network_of(address), self.clock.monotonic_s())
        asked = await intake.recovery_of(request, self.request_timeout_s)
        key, now_ns = _key_of(asked.request), self.clock.wall_ns()
        return self._issued(await self.issuer.call(lambda: self.elements.renew(asked, key, address, now_ns)))

    def _issued(self, certificate_der: bytes) -> web.Response:
        return est_answer(self.issuer.authority.certs_only(certificate_der), CERTIFICATE_MEDIA_TYPE)


def _key_of(request_der: bytes) -> EllipticCurvePublicKey:
    try:
        return read_csr_der(request_der)
    except CsrError as error:
        raise refuse(SessionCode.REQUEST_INVALID, error.came, error.allowed) from error
