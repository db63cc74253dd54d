"""One request to a collector on a connection of its own, and what its answer means: certificates, or a named refusal.

Rules of this file: it sends what it is given; it neither trusts nor keeps anything.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping

from cryptography import x509

from appliance.enroll.errors import IssuedWrongError
from appliance.enroll.refused import refused
from appliance.identity import Answer, CertificateInvalidError, CollectorUrl, HttpsConnection, Proxy
from appliance.identity.certificates import parse_certs_only
from appliance.wire.enrollment import MAX_CERTS_BYTES, decode_base64
from appliance.wire.session import MAX_ANSWER_BYTES, SessionError

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
        raise refused(str(url), answer)
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
