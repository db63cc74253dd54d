"""Becoming a sensor and staying one: from a token and a CA pin to a certificate, from one certificate to the next."""

from appliance.enroll.client import Enrolled, EnrollmentPlan, enroll, standing
from appliance.enroll.errors import (
    EnrollmentPendingError,
    EnrollmentRefusedError,
    IssuedWrongError,
    RootUnknownError,
    TokenExpiredError,
    TokenOtherTpmError,
    TokenRevokedError,
    TokenUnknownError,
    TokenUsedError,
    WrongPinError,
)
from appliance.enroll.renew import RenewalPlan, renew
from appliance.enroll.renewer import Renewer
from appliance.enroll.schedule import RenewalState, RenewalStatus

__all__ = [
    "Enrolled",
    "EnrollmentPendingError",
    "EnrollmentPlan",
    "EnrollmentRefusedError",
    "IssuedWrongError",
    "RenewalPlan",
    "RenewalState",
    "RenewalStatus",
    "Renewer",
    "RootUnknownError",
    "TokenExpiredError",
    "TokenOtherTpmError",
    "TokenRevokedError",
    "TokenUnknownError",
    "TokenUsedError",
    "WrongPinError",
    "enroll",
    "renew",
    "standing",
]
