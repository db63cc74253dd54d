"""A collector's no, turned into the error that names it.

    answer                                    error
    a refusal of the session's catalogue      by its code
    202 (RFC 7030 section 4.2.3)              EnrollmentPendingError, with Retry-After
    401 of an EST server that is not ours     TokenUnknownError
    any other                                 EnrollmentRefusedError

Rules of this file: pure. Every answer but 200 becomes one error; a code that is not known here is repeated as it came.
"""

from __future__ import annotations

from appliance.enroll.errors import (
    EnrollmentPendingError,
    EnrollmentRefusedError,
    TokenExpiredError,
    TokenOtherTpmError,
    TokenRevokedError,
    TokenUnknownError,
    TokenUsedError,
)
from appliance.errors import ApplianceError, OperatorError
from appliance.identity import Answer
from appliance.wire.codes import SessionCode
from appliance.wire.fields import parse_int
from appliance.wire.session import MAX_RETRY_AFTER_S, Refusal, SessionError

_KINDS: dict[SessionCode, type[OperatorError]] = {
    SessionCode.TOKEN_UNKNOWN: TokenUnknownError,
    SessionCode.TOKEN_USED: TokenUsedError,
    SessionCode.TOKEN_EXPIRED: TokenExpiredError,
    SessionCode.TOKEN_REVOKED: TokenRevokedError,
    SessionCode.TOKEN_OTHER_TPM: TokenOtherTpmError,
}


def refused(where: str, answer: Answer) -> ApplianceError:
    """The error for an answer whose status is not 200."""
    if answer.status == 202:
        return _pending(where, answer)
    try:
        refusal = Refusal.from_answer(answer.status, answer.headers, answer.body)
    except SessionError:
        return _plain(where, answer)
    code = SessionCode.of(refusal.code)
    kind = _KINDS.get(code) if code is not None else None
    said = code.doc if code is not None else f"{refusal.came}; allowed: {refusal.allowed}"
    message = f"{where}: {refusal.code}: {said}"
    if kind is None:
        return EnrollmentRefusedError(message, advice=refusal.do, code=code, retry_after_s=refusal.retry_after_s)
    return kind(message, advice=refusal.do)


def _plain(where: str, answer: Answer) -> ApplianceError:
    """What HTTP alone says."""
    if answer.status == 401:
        return TokenUnknownError(
            f"{where}: HTTP status 401 came: the server takes neither the token nor a certificate of ours",
            advice="copy the token again; is this a collector? check [collector] urls",
        )
    return EnrollmentRefusedError(
        f"{where}: HTTP status {answer.status} came, 200 was allowed",
        advice="is this a collector? is a proxy in between?",
        retry_after_s=_retry_after_s(answer),
    )


def _pending(where: str, answer: Answer) -> EnrollmentPendingError:
    wait_s = _retry_after_s(answer)
    when = "later" if wait_s is None else f"in {wait_s} s"
    return EnrollmentPendingError(
        f"{where}: HTTP status 202 came: the request is there and nobody has decided on it yet",
        advice=f"ask the collector's operator to approve it, and do the same again {when}",
        retry_after_s=wait_s,
    )


def _retry_after_s(answer: Answer) -> int | None:
    """Retry-After in seconds (RFC 9110 section 10.2.3); a date is not for boxes whose clock may be off."""
    try:
        return parse_int("Retry-After", answer.headers.get("retry-after", ""), high=MAX_RETRY_AFTER_S)
    except SessionError:
        return None
