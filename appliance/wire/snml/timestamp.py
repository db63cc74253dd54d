"""Timestamps: ISO 8601 date, time and zone <-> nanoseconds since the Unix epoch.

Rules of this file: written in UTC with the zone `+00` (SNML's own examples have whole hours), six digits of fraction,
or nine when the nanoseconds need them. Read: `T` or a space between date and time, a fraction of 1 to 9 digits or
none, and a zone that must be there (`Z`, `+hh`, `+hhmm`, `+hh:mm`): a time without one means nothing to a collector
in another country.
"""

from __future__ import annotations

import re
import time
from datetime import date

from appliance.wire.snml.reject import RejectCode, SnmlError

MAX_TIMESTAMP_NS = 2**63 - 1
_ALLOWED = "ISO 8601 with a zone, 1970-01-01T00:00:00Z to 2262-04-11, as in 2024-01-02T03:04:05.678901+00"
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_FORM = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?(?:(Z)|([+-])(\d\d)(?::?(\d\d))?)", re.ASCII
)


def format_timestamp(timestamp_ns: int) -> str:
    """`2024-01-02T03:04:05.678901+00`.

    Raises:
        SnmlError: TIMESTAMP, when it is before 1970 or beyond 63 bits.
    """
    if not 0 <= timestamp_ns <= MAX_TIMESTAMP_NS:
        raise SnmlError(RejectCode.TIMESTAMP, f"{timestamp_ns} ns", _ALLOWED)
    seconds, ns = divmod(timestamp_ns, 1_000_000_000)
    year, month, day, hour, minute, second, _, _, _ = time.gmtime(seconds)
    us, rest = divmod(ns, 1000)
    fraction = f"{ns:09d}" if rest else f"{us:06d}"
    return f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}.{fraction}+00"


def parse_timestamp(text: str) -> int:
    """Nanoseconds since the Unix epoch.

    Raises:
        SnmlError: TIMESTAMP. A leap second (`:60`) is refused too: it has no number of its own in Unix time.
    """
    match = _FORM.fullmatch(text.strip(" \t\r\n")) if len(text) <= 80 else None
    if match is None:
        raise SnmlError(RejectCode.TIMESTAMP, text, _ALLOWED)
    year, month, day, hour, minute, second, fraction, zulu, sign, zone_hour, zone_minute = match.groups()
    try:
        days = date(int(year), int(month), int(day)).toordinal() - _EPOCH_DAY
    except ValueError:
        raise SnmlError(RejectCode.TIMESTAMP, text, _ALLOWED) from None
    h, m, s = int(hour), int(minute), int(second)
    offset_s = 0
    if not zulu:
        zh, zm = int(zone_hour), int(zone_minute or 0)
        if zh > 14 or zm > 59:  # no zone on Earth is beyond +14:00
            raise SnmlError(RejectCode.TIMESTAMP, text, _ALLOWED)
        offset_s = (zh * 3600 + zm * 60) * (-1 if sign == "-" else 1)
    if h > 23 or m > 59 or s > 59:
        raise SnmlError(RejectCode.TIMESTAMP, text, _ALLOWED)
    ns = int((fraction or "0").ljust(9, "0"))
    total = (days * 86400 + h * 3600 + m * 60 + s - offset_s) * 1_000_000_000 + ns
    if not 0 <= total <= MAX_TIMESTAMP_NS:
        raise SnmlError(RejectCode.TIMESTAMP, text, _ALLOWED)
    return total
