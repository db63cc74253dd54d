"""Is there a token to enroll with, as long as it is needed?

Rules of this file: one function. Only the form is judged: whether a token is open, the collector tells by using it up.
"""

from __future__ import annotations

from pathlib import Path

from appliance.doctor.patient import Patient
from appliance.doctor.result import Result, failed, ok, skipped
from appliance.wire.enrollment import EnrollmentToken
from appliance.wire.session import SessionError

MAX_TOKEN_BYTES = 4096
_ADVICE = "the provider makes one: vedette-collector token new; copy it whole"


def check(patient: Patient) -> Result:
    """From the configuration, or from the file it names."""
    if patient.folder.certificate_path.exists():
        return skipped("enrolled already")
    section = patient.config.collector
    text = section.token
    if not text and not section.token_file:
        return failed("not enrolled, and there is no token", _ADVICE)
    if not text:
        try:
            with Path(section.token_file).open("rb") as file:
                text = file.read(MAX_TOKEN_BYTES).decode("ascii", errors="replace")
        except OSError as error:
            return failed(f"[collector] token_file: {section.token_file}: {error.strerror}", _ADVICE)
    try:
        token = EnrollmentToken.parse(text)
    except SessionError as error:
        return failed(str(error), _ADVICE)
    return ok(f"{token.token_id} has a token's form; vedette enroll tells whether it is open")
