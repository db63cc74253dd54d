"""The one error of the package: a claim or a proof is refused, by a code of the session's catalogue.

Rules of this file: every check below raises this and nothing else; it says what came and what was allowed.
"""

from __future__ import annotations

from appliance.wire.codes import SessionCode


class AttestError(Exception):
    """Carries the code that the sensor will be told."""

    def __init__(self, code: SessionCode, came: str, allowed: str) -> None:
        super().__init__(f"{code}: {came} came, {allowed} was allowed")
        self.code = code
        self.came = came
        self.allowed = allowed
