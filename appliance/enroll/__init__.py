"""Becoming a sensor: from a one-time token and a CA pin to a certificate."""

from appliance.enroll.client import Enrolled, EnrollmentPlan, enroll, standing
from appliance.enroll.errors import (
    EnrollmentRefusedError,
    IssuedWrongError,
    TokenExpiredError,
    TokenUnknownError,
    TokenUsedError,
    WrongPinError,
)

__all__ = [
    "Enrolled",
    "EnrollmentPlan",
    "EnrollmentRefusedError",
    "IssuedWrongError",
    "TokenExpiredError",
    "TokenUnknownError",
    "TokenUsedError",
    "WrongPinError",
    "enroll",
    "standing",
]
