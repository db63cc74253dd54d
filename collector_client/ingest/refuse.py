"""The one exception of the ingest: a request is refused, with the answer that says so.

Rules of this file: every refusal is a code of a catalogue with what came, what was allowed and what to do; no other
exception reaches a sensor.
"""

from __future__ import annotations

from appliance.wire.codes import SessionCode
from appliance.wire.session import Refusal
from appliance.wire.snml import RejectCode, SnmlError

_SNML_ADVICE = "Nothing of the batch was stored; the document is kept in quarantine. Update the sensor's software."


class RefusedError(Exception):
    """Carries the answer; `action` and `subject` say to the audit what was refused to whom, where that is known."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.code}: came {refusal.came}; allowed: {refusal.allowed}")
        self.refusal = refusal
        self.action = ""
        self.subject = ""


def refuse(code: SessionCode, came: str, allowed: str, *, retry_after_s: int | None = None) -> RefusedError:
    """A refusal of the session's catalogue, to be raised."""
    return RefusedError(Refusal(code.status, str(code), came, allowed, code.do, retry_after_s))


def refuse_document(error: SnmlError) -> RefusedError:
    """A refusal of the document's catalogue, to be raised."""
    code: RejectCode = error.code
    return RefusedError(Refusal(code.status, str(code), error.came, error.allowed, _SNML_ADVICE))
