"""The audit of who was turned away, with which token or as which sensor, and why.

    what                                               is written
    an enrollment, renewal or recovery is refused      at once: `ROWS_OF_ADDRESS` a minute of one address, `ROWS` of all
    an address is told to slow down                    at once, the first in a minute
    a revoked or superseded key speaks                 at once, the first in an hour of each sensor, with their number
    refusals beyond that; connections closed           counted; once a minute one row for each of the `WORST` addresses,
    at the door                                        and one for all others together

Rules of this file: a flood neither fills the disk nor hides what else happens: at most `ROWS + WORST + 1` rows a
minute, whoever sends how much. What is remembered between rows is bounded. A row holds no secret. Refusals by lack of
room make none: the store is what they lack.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from appliance.wire.codes import SessionCode
from appliance.wire.enrollment import EnrollmentToken
from appliance.wire.fields import SessionError, plain
from collector_client.ingest.quota import Quota, network_of
from collector_client.ingest.refuse import RefusedError
from collector_client.store import Control, audit

ROWS = 120
ROWS_OF_ADDRESS = 30
WORST = 20
MAX_COUNTED = 1000
"""So many addresses are counted apart, and so many sensors; further addresses count together."""
_OTHERS = "others"
_ACTOR = "ingest"
_ENROLLMENT = "refuse enrollment"
_SENSOR = "refuse sensor"
_FLOOD = "refuse flood"
_UNWRITTEN = (str(SessionCode.BUSY), str(SessionCode.STORE_FAILED))
_SHUT_OUT = (str(SessionCode.SENSOR_REVOKED), str(SessionCode.KEY_SUPERSEDED))


class AuditRow(NamedTuple):
    """What will be written."""

    action: str
    subject: str
    detail: str


class Refusals:
    """Decides which refusals are written, counts the others, and writes."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._all = Quota(ROWS)
        self._of_address = Quota(ROWS_OF_ADDRESS)
        self._slowed = Quota(1)
        self._shut_out = Quota(1)
        self._tries: Counter[str] = Counter()
        self._counted: dict[str, Counter[str]] = {}

    def enrollment(
        self, error: RefusedError, address: str, authorization: str | None, now_s: float
    ) -> AuditRow | None:  # fmt: skip
        """The row for a refused enrollment, renewal or recovery, or None when it is only counted."""
        code, network = error.refusal.code, network_of(address)
        if code in _UNWRITTEN:
            return None
        quotas = [(self._of_address, network), (self._all, "")]
        if code == str(SessionCode.ENROLLMENT_RATE):
            quotas.append((self._slowed, network))
        if not _take(quotas, now_s):
            self._count(network, code.partition(" ")[2])
            return None
        subject = error.subject or _token_id(authorization) or address
        return AuditRow(error.action or _ENROLLMENT, subject, _detail(error, address))

    def sensor(self, error: RefusedError, address: str, now_s: float) -> AuditRow | None:
        """The row for a request of a sensor that is shut out for good; None when it is only counted, or is not so."""
        if error.refusal.code not in _SHUT_OUT or not error.subject:
            return None
        # Once in sixty minutes is once in a minute of a clock that counts minutes as seconds.
        if not _take([(self._shut_out, error.subject)], now_s / 60) or not _take([(self._all, "")], now_s):
            if error.subject in self._tries or len(self._tries) < MAX_COUNTED:
                self._tries[error.subject] += 1
            return None
        tries = self._tries.pop(error.subject, 0)
        more = f"; {tries} times since the row before" if tries else ""
        return AuditRow(_SENSOR, error.subject, _detail(error, address) + more)

    def connection(self, network: str, reason: str) -> None:
        """A connection was closed at the door."""
        self._count(network, f"connections ({reason})")

    def summaries(self) -> list[AuditRow]:
        """Rows for what was counted since the last time: the worst, and all others together."""
        counted, self._counted = self._counted, {}
        others = counted.pop(_OTHERS, Counter())
        ordered = sorted(counted, key=lambda subject: -counted[subject].total())
        rows = [AuditRow(_FLOOD, subject, _words(counted[subject])) for subject in ordered[:WORST]]
        for subject in ordered[WORST:]:
            others.update(counted[subject])
        if others:
            many = len(ordered[WORST:])
            rows.append(AuditRow(_FLOOD, _OTHERS, f"{_words(others)}; from {many} or more other addresses"))
        return rows

    def write(self, rows: Iterable[AuditRow], now_ns: int) -> None:
        """Add rows.

        Raises:
            StoreError: the store failed.
        """
        with self._control.transaction() as connection:
            for row in rows:
                audit.record(connection, now_ns, _ACTOR, row.action, row.subject, row.detail)

    def _count(self, subject: str, what: str) -> None:
        if subject not in self._counted and len(self._counted) >= MAX_COUNTED:
            subject = _OTHERS
        self._counted.setdefault(subject, Counter())[what] += 1


def _take(quotas: list[tuple[Quota, str]], now_s: float) -> bool:
    """Charge all of the quotas, or none."""
    if any(quota.wait_s(key, 1, now_s) > 0 for quota, key in quotas):
        return False
    for quota, key in quotas:
        quota.take(key, 1, now_s)
    return True


def _detail(error: RefusedError, address: str) -> str:
    refusal = error.refusal
    return f"{refusal.code}: came {plain(refusal.came)}; allowed {plain(refusal.allowed)}; from {address}"


def _words(counter: Counter[str]) -> str:
    return "not written one by one: " + ", ".join(f"{count} x {what}" for what, count in counter.most_common())


def _token_id(authorization: str | None) -> str:
    try:
        return "" if authorization is None else EnrollmentToken.from_authorization(authorization).token_id
    except SessionError:
        return ""
