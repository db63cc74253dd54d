"""The audit of refused enrollments, renewals and recoveries: who was turned away with which token, and why.

Rules of this file: one row for each refusal, but never so many that a flood fills the disk or hides among its own rows.
An address that is only told to slow down makes one row a minute; all addresses together make at most `ROWS_PER_MINUTE`,
and the next row after that says how many were left out. A row holds no secret. Refusals by lack of room make none: the
store is what they lack.
"""

from __future__ import annotations

from typing import NamedTuple

from appliance.wire.codes import SessionCode
from appliance.wire.enrollment import EnrollmentToken
from appliance.wire.fields import SessionError, plain
from collector_client.ingest.quota import Quota, network_of
from collector_client.ingest.refuse import RefusedError
from collector_client.store import Control, audit

ROWS_PER_MINUTE = 600
_ACTOR = "ingest"
_ACTION = "refuse enrollment"
_UNWRITTEN = (str(SessionCode.BUSY), str(SessionCode.STORE_FAILED))


class AuditRow(NamedTuple):
    """What will be written."""

    action: str
    subject: str
    detail: str


class Refusals:
    """Decides which refusals are written, and writes them."""

    def __init__(self, control: Control, rows_per_minute: int = ROWS_PER_MINUTE) -> None:
        self._control = control
        self._all = Quota(rows_per_minute)
        self._slowed = Quota(1)
        self._left_out = 0

    def row(self, error: RefusedError, address: str, authorization: str | None, now_s: float) -> AuditRow | None:
        """The row for a refusal, or None when it is one of too many."""
        refusal, network = error.refusal, network_of(address)
        if refusal.code in _UNWRITTEN:
            return None
        if refusal.code == str(SessionCode.ENROLLMENT_RATE):
            if self._slowed.wait_s(network, 1, now_s) > 0:
                return None
            self._slowed.take(network, 1, now_s)
        if self._all.wait_s("", 1, now_s) > 0:
            self._left_out += 1
            return None
        self._all.take("", 1, now_s)
        detail = f"{refusal.code}: came {plain(refusal.came)}; allowed {plain(refusal.allowed)}; from {address}"
        if self._left_out:
            detail += f"; {self._left_out} more refusals before this one were not written"
            self._left_out = 0
        subject = error.subject or _token_id(authorization) or address
        return AuditRow(error.action or _ACTION, subject, detail)

    def write(self, row: AuditRow, now_ns: int) -> None:
        """Add the row.

        Raises:
            StoreError: the store failed.
        """
        with self._control.transaction() as connection:
            audit.record(connection, now_ns, _ACTOR, row.action, row.subject, row.detail)


def _token_id(authorization: str | None) -> str:
    try:
        return "" if authorization is None else EnrollmentToken.from_authorization(authorization).token_id
    except SessionError:
        return ""
