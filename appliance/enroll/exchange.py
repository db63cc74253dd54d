"""One request to a collector on a connection of its own, and what its answer means: certificates, or a named refusal.

Rules of this file: it sends what it is given; it neither trusts nor keeps anything. Enrollment and renewal share it.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping

from cryptography import x509

from appliance.enroll.errors import (
    EnrollmentRefusedError,
    IssuedWrongError,
    TokenExpiredError,
    TokenUnknownError,
    TokenUsedError,
)
from appliance.errors import ApplianceError, OperatorError
from appliance.identity import Answer, CertificateInvalidError, CollectorUrl, HttpsConnection, Proxy
from appliance.identity.certificates import parse_certs_only
from appliance.wire.codes import SessionCode
from appliance.wire.enrollment import MAX_CERTS_BYTES, decode_base64
from appliance.wire.session import MAX_ANSWER_BYTES, Refusal, SessionError

_REFUSED: dict[SessionCode, type[OperatorError]] = {
    SessionCode.TOKEN_UNKNOWN: TokenUnknownError,
    SessionCode.TOKEN_USED: TokenUsedError,
    SessionCode.TOKEN_EXPIRED: TokenExpiredError,
}
_NONE: Mapping[str, str] = {}


def ask(
    url: CollectorUrl,
    context: ssl.SSLContext,
    method: str,
    path: str,
    headers: Mapping[str, str] = _NONE,
    body: bytes = b"",
    *,
    timeout_s: float,
    proxy: Proxy | None,
) -> Answer:
    """One request; the answer is a good one.

    Raises:
        EnrollmentRefusedError, TokenUnknownError, TokenUsedError, TokenExpiredError: the collector said no.
        LinkError: the connection failed, by name.
    """
    connection = HttpsConnection(url, context=context, timeout_s=timeout_s, proxy=proxy)
    try:
        answer = connection.request(method, path, headers=headers, body=body, max_answer_bytes=MAX_ANSWER_BYTES)
    finally:
        connection.close()
    if answer.status != 200:
        raise _refused(url, answer)
    return answer


def certificates_of(url: CollectorUrl, answer: Answer) -> list[x509.Certificate]:
    """The certificates of EST's answer (RFC 7030 section 4.2.3).

    Raises:
        IssuedWrongError: it holds none, or is something else.
    """
    try:
        return parse_certs_only(str(url), decode_base64(f"{url}: certificates", answer.body, MAX_CERTS_BYTES))
    except (SessionError, CertificateInvalidError) as exc:
        raise IssuedWrongError(str(exc), advice="is this a collector? check [collector] urls") from exc


def _refused(url: CollectorUrl, answer: Answer) -> ApplianceError:
    try:
        refusal = Refusal.from_answer(answer.status, answer.headers, answer.body)
    except SessionError:
        return EnrollmentRefusedError(
            f"{url}: HTTP status {answer.status} came, 200 was allowed",
            advice="is this a collector? is a proxy in between?",
        )
    code = SessionCode.of(refusal.code)
    kind = _REFUSED.get(code) if code is not None else None
    said = code.doc if code is not None else f"{refusal.came}; allowed: {refusal.allowed}"
    message = f"{url}: {refusal.code}: {said}"
    if kind is None:
        return EnrollmentRefusedError(message, advice=refusal.do, code=code)
    return kind(message, advice=refusal.do)
