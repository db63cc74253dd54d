"""What comes to the desks: the quota that is asked first, and the bodies, read within bounds and by their words.

Rules of this file: a body gives its value or one refusal; who may send it is the desks' business, what it is worth the
others'.
"""

from __future__ import annotations

import math

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from appliance.wire.codes import SessionCode
from appliance.wire.enrollment import MAX_CSR_BYTES, MAX_RECOVERY_BYTES, RecoveryRequest
from appliance.wire.residency import MAX_PROOF_BYTES, MAX_REQUEST_BYTES, ResidencyProof, ResidencyRequest
from appliance.wire.session import SessionError
from collector_client.ingest.body import check_length, read_body
from collector_client.ingest.quota import Quota
from collector_client.ingest.refuse import RefusedError, refuse
from collector_client.pki import CsrError, read_csr


def throttle(quota: Quota, who: str, now_s: float) -> None:
    """Take one attempt from who asks.

    Raises:
        RefusedError: it has none left.
    """
    wait_s = quota.wait_s(who, 1, now_s)
    if wait_s > 0:
        allowed = f"{quota.per_minute} attempts a minute that fail"
        raise refuse(SessionCode.ENROLLMENT_RATE, who, allowed, retry_after_s=max(1, math.ceil(wait_s)))
    quota.take(who, 1, now_s)


async def csr_of(request: web.BaseRequest, timeout_s: float) -> EllipticCurvePublicKey:
    """The key of a certificate request.

    Raises:
        RefusedError: too long, too slow, or no request that can be signed.
    """
    body = await _body(request, MAX_CSR_BYTES, timeout_s)
    try:
        return read_csr(body)
    except CsrError as error:
        raise refuse(SessionCode.REQUEST_INVALID, error.came, error.allowed) from error


async def recovery_of(request: web.BaseRequest, timeout_s: float) -> RecoveryRequest:
    """A recovery; neither its signature nor what it asks for is looked at.

    Raises:
        RefusedError: too long, too slow, or of another form.
    """
    body = await _body(request, MAX_RECOVERY_BYTES, timeout_s)
    try:
        return RecoveryRequest.from_json(body)
    except SessionError as error:
        raise refuse(SessionCode.REQUEST_INVALID, error.came, error.allowed) from error


async def residency_of(request: web.BaseRequest, timeout_s: float) -> ResidencyRequest:
    """The first message of a residency proof.

    Raises:
        RefusedError: too long, too slow, or of another form.
    """
    return read_residency(await _body(request, MAX_REQUEST_BYTES, timeout_s))


def read_residency(body: bytes) -> ResidencyRequest:
    """The same from bytes at hand.

    Raises:
        RefusedError: of another form.
    """
    try:
        return ResidencyRequest.decode(body)
    except SessionError as error:
        raise _residency_invalid(error) from error


async def proof_of(request: web.BaseRequest, timeout_s: float) -> ResidencyProof:
    """The second message.

    Raises:
        RefusedError: too long, too slow, or of another form.
    """
    body = await _body(request, MAX_PROOF_BYTES, timeout_s)
    try:
        return ResidencyProof.decode(body)
    except SessionError as error:
        raise _residency_invalid(error) from error


async def _body(request: web.BaseRequest, most: int, timeout_s: float) -> bytes:
    check_length(request, most)
    return await read_body(request, most, timeout_s)


def _residency_invalid(error: SessionError) -> RefusedError:
    return refuse(SessionCode.RESIDENCY_INVALID, f"{error.what}: {error.came}", error.allowed)
