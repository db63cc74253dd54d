"""A collector's no, turned into the error that names it.

Rules of this file: pure. Every answer but 200 becomes one error; a code that is not known here is repeated as it came.
"""

from __future__ import annotations

from appliance.enroll.errors import (
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
from appliance.wire.session import Refusal, SessionError

_KINDS: dict[SessionCode, type[OperatorError]] = {
    SessionCode.TOKEN_UNKNOWN: TokenUnknownError,
    SessionCode.TOKEN_USED: TokenUsedError,
    SessionCode.TOKEN_EXPIRED: TokenExpiredError,
    SessionCode.TOKEN_REVOKED: TokenRevokedError,
    SessionCode.TOKEN_OTHER_TPM: TokenOtherTpmError,
}


def refused(where: str, answer: Answer) -> ApplianceError:
    """The error for an answer whose status is not 200."""
    try:
        refusal = Refusal.from_answer(answer.status, answer.headers, answer.body)
    except SessionError:
        return EnrollmentRefusedError(
            f"{where}: HTTP status {answer.status} came, 200 was allowed",
            advice="is this a collector? is a proxy in between?",
        )
    code = SessionCode.of(refusal.code)
    kind = _KINDS.get(code) if code is not None else None
    said = code.doc if code is not None else f"{refusal.came}; allowed: {refusal.allowed}"
    message = f"{where}: {refusal.code}: {said}"
    if kind is None:
        return EnrollmentRefusedError(message, advice=refusal.do, code=code)
    return kind(message, advice=refusal.do)
