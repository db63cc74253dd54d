"""A page's query string as a filter and a time range: bounded, checked, and back to a query string for links.

Rules of this file: pure; the time is an argument. An empty field is an absent one. Anything else that does not parse is
`ParamError`, which the page shows with what is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode

from collector_client.store.filter import AlertFilter

NS = 1_000_000_000
MAX_TEXT = 200

# (value, what the picker says, seconds); the order is the picker's and that of the widening default.
RANGES: tuple[tuple[str, str, int | None], ...] = (
    ("1h", "Last hour", 3_600),
    ("6h", "Last 6 hours", 6 * 3_600),
    ("24h", "Last 24 hours", 86_400),
    ("7d", "Last 7 days", 7 * 86_400),
    ("30d", "Last 30 days", 30 * 86_400),
    ("all", "All time", None),
)
DEFAULT_WIDENING = ("24h", "7d", "30d", "all")
_SECONDS = {value: seconds for value, _, seconds in RANGES}


class ParamError(ValueError):
    """A query parameter that cannot be used; the text says which, what came and what is allowed."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What the analyst chose. `range` is one of `RANGES`, `custom` (with since or until), or None for the default."""

    range: str | None = None
    since_s: int | None = None
    until_s: int | None = None
    tenant: str | None = None
    sensor: str | None = None
    text: str | None = None
    priority: int | None = None

    def filter(self, now_ns: int, *, gid: int | None = None, sid: int | None = None) -> AlertFilter:
        """The store's filter; "last hour" and the like end now, open to events from sensors whose clock is ahead."""
        since_ns = None if self.since_s is None else self.since_s * NS
        seconds = _SECONDS.get(self.range or "all")
        if self.range != "custom" and seconds is not None:
            since_ns = now_ns - seconds * NS
        return AlertFilter(
            tenant=self.tenant,
            sensor_id=self.sensor,
            sid=sid,
            gid=gid,
            since_ns=since_ns,
            until_ns=None if self.until_s is None else self.until_s * NS,
            priority_max=self.priority,
            text=self.text,
        )

    def query(self, **more: object) -> str:
        """The query string that gives this choice again, with `more` parameters added or (None) left out."""
        values: dict[str, object] = {
            "range": None if self.range == "custom" else self.range,
            "since": None if self.since_s is None else stamp(self.since_s),
            "until": None if self.until_s is None else stamp(self.until_s),
            "tenant": self.tenant,
            "sensor": self.sensor,
            "q": self.text,
            "priority": self.priority,
            **more,
        }
        return urlencode({name: str(value) for name, value in values.items() if value is not None})


def parse(query: Mapping[str, str]) -> Choice:
    """Read the parameters that every alert page has.

    Raises:
        ParamError: one of them cannot be used.
    """
    since_s, until_s = _instant(query, "since"), _instant(query, "until")
    chosen = query.get("range") or None
    if chosen is not None and chosen not in _SECONDS and chosen != "custom":
        raise ParamError(f"range={chosen[:40]!r} came, one of {', '.join(_SECONDS)} is allowed")
    if since_s is not None or until_s is not None:
        chosen = "custom"
    elif chosen == "custom":
        chosen = None
    if since_s is not None and until_s is not None and since_s >= until_s:
        raise ParamError(f"since={stamp(since_s)} is not before until={stamp(until_s)}")
    return Choice(
        range=chosen,
        since_s=since_s,
        until_s=until_s,
        tenant=_text(query, "tenant"),
        sensor=_text(query, "sensor"),
        text=_text(query, "q"),
        priority=number(query, "priority", 1, 255),
    )


def number(query: Mapping[str, str], name: str, low: int, high: int) -> int | None:
    """A whole number within bounds, or None where the field is absent or empty.

    Raises:
        ParamError: it is neither.
    """
    came = query.get(name) or None
    if came is None:
        return None
    value = int(came) if came.isascii() and came.isdigit() and len(came) <= 19 else low - 1
    if not low <= value <= high:
        raise ParamError(f"{name}={came[:40]!r} came, a number from {low} to {high} is allowed")
    return value


def stamp(seconds: int) -> str:
    """Seconds since the epoch as `2026-11-24T03:15:00Z`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(query: Mapping[str, str], name: str) -> str | None:
    came = query.get(name, "").strip()
    if len(came) > MAX_TEXT:
        raise ParamError(f"{name} is {len(came)} characters long, {MAX_TEXT} are allowed")
    return came or None


def _instant(query: Mapping[str, str], name: str) -> int | None:
    came = query.get(name) or None
    if came is None:
        return None
    try:
        if len(came) > 32:
            raise ValueError
        when = datetime.fromisoformat(came)
        when = when.replace(tzinfo=when.tzinfo or UTC)
        seconds = int(when.timestamp())
    except (ValueError, OverflowError):
        seconds = -1
    if not 0 <= seconds < 1 << 33:
        raise ParamError(f"{name}={came[:40]!r} came, a time like 2026-11-24T03:15:00Z is allowed")
    return seconds
