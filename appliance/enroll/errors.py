"""Why an enrollment did not come about, by name.

Rules of this file: what a connection meets is named in `identity.errors`; here is what the collector or the pin says.
"""

from __future__ import annotations

from appliance.errors import OperatorError, PeerError
from appliance.wire.codes import SessionCode


class WrongPinError(PeerError):
    """No CA that the server offers has the pinned key: this is another collector, or somebody in between."""


class RootUnknownError(PeerError):
    """The collector has other roots than ours, and none of ours vouches for one: a roll-over without its link, or the
    collector was set up anew.
    """


class TokenUnknownError(OperatorError):
    """The collector has no such token."""


class TokenUsedError(OperatorError):
    """Another key has enrolled with this token."""


class TokenExpiredError(OperatorError):
    """The token's time is over."""


class TokenRevokedError(OperatorError):
    """The provider has taken the token back."""


class TokenOtherTpmError(OperatorError):
    """The token is for the box with another TPM."""


class EnrollmentRefusedError(PeerError):
    """The collector refused for another reason, which the message repeats; `code` is None when it is not in our
    catalogue, `retry_after_s` when it named no time.
    """

    def __init__(
        self,
        message: str,
        *,
        advice: str = "",
        code: SessionCode | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message, advice=advice)
        self.code = code
        self.retry_after_s = retry_after_s


class EnrollmentPendingError(EnrollmentRefusedError):
    """The server has the request and has not decided yet (RFC 7030 section 4.2.3): the same one again, later."""


class IssuedWrongError(PeerError):
    """What the collector issued is not a certificate of our key under the pinned CA."""
