"""Checked reading of what the other side wrote: JSON objects, integers and words in headers, clocks.

Rules of this file: bytes or text in, a typed value or `SessionError` out, and nothing else ever; size is bounded
before a parser sees the input. A field that is missing, ill-typed or out of range is refused; a field nobody here
knows is passed over, because the two sides are updated apart and one may be a version ahead. No I/O, no time, no
randomness.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn

MAX_INT63 = 2**63 - 1
"""Epochs, sequences and flow ids are unsigned 63-bit numbers, so that every database and language can hold them."""

MAX_TEXT = 256
"""Characters of a `came` or `allowed` text: enough to see what was wrong, too little to carry a payload."""

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_CLOCK = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(?:Z|\+00:00)", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SessionError(Exception):
    """The other side's words cannot be taken as they are; says what came and what was allowed."""

    def __init__(self, what: str, *, came: str, allowed: str) -> None:
        self.what = what
        self.came = plain(came)
        self.allowed = plain(allowed)
        super().__init__(f"{what}: came {self.came}, allowed {self.allowed}")


def plain(text: str, limit: int = MAX_TEXT) -> str:
    """`text` fit for a terminal and for JSON: no control characters, no lone surrogates, at most `limit` characters."""
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def parse_int(what: str, text: str, low: int = 0, high: int = MAX_INT63) -> int:
    """A decimal without sign, blanks or leading zeros.

    Raises:
        SessionError: another form, or outside `low`..`high`.
    """
    if _DECIMAL.fullmatch(text) and low <= int(text) <= high:
        return int(text)
    raise SessionError(what, came=repr(text[:40]), allowed=f"a decimal number from {low} to {high}")


def parse_range(what: str, text: str) -> tuple[int, int]:
    """`first-last`, both sequence numbers (from 1), `first` not after `last`.

    Raises:
        SessionError: another form.
    """
    first_text, dash, last_text = text.partition("-")
    if dash:
        first, last = parse_int(what, first_text, low=1), parse_int(what, last_text, low=1)
        if first <= last:
            return first, last
    raise SessionError(
        what, came=repr(text[:60]), allowed="first-last, two numbers from 1, the first not after the last"
    )


def parse_word(what: str, text: str, pattern: re.Pattern[str]) -> str:
    """`text` when `pattern` matches all of it.

    Raises:
        SessionError: it does not.
    """
    if pattern.fullmatch(text):
        return text
    raise SessionError(what, came=repr(text[:80]), allowed=f"text of the form {pattern.pattern}")


def format_clock(wall_ns: int) -> str:
    """ISO 8601 in UTC with nanoseconds: 2026-11-24T04:00:25.000000000Z."""
    seconds, nanos = divmod(wall_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanos:09d}Z"


def parse_clock(what: str, text: str) -> int:
    """The reverse of `format_clock`, in nanoseconds since 1970; fewer digits and `+00:00` are taken too.

    Raises:
        SessionError: not ISO 8601 in UTC, or before 1970.
    """
    match = _CLOCK.fullmatch(text)
    if match:
        try:
            seconds = int((datetime.fromisoformat(match[1]).replace(tzinfo=UTC) - _EPOCH).total_seconds())
        except ValueError:
            seconds = -1
        if seconds >= 0:
            return seconds * 1_000_000_000 + int((match[2] or "0").ljust(9, "0"))
    raise SessionError(
        what, came=repr(text[:40]), allowed="a time in UTC like 2026-11-24T04:00:25.123456Z, not before 1970"
    )


def lower_headers(headers: Mapping[str, str], names: frozenset[str]) -> dict[str, str]:
    """The headers among `names` (lower case), each at most once.

    Raises:
        SessionError: one of them came twice, which parsers along the way may read differently.
    """
    found: dict[str, str] = {}
    for name, value in headers.items():
        key = name.lower()
        if key in names:
            if key in found:
                raise SessionError(f"header {key}", came="two of them", allowed="one")
            found[key] = value.strip(" \t")
    return found


def dump_object(value: Mapping[str, Any]) -> bytes:
    """JSON in UTF-8 with no blanks, keys in the order given."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def load_object(what: str, data: bytes, max_bytes: int) -> Fields:
    """The one JSON object in `data`.

    Raises:
        SessionError: larger than `max_bytes`, not UTF-8, not JSON, a key twice, NaN or Infinity, nested too deep, no
        object.
    """
    if len(data) > max_bytes:
        raise SessionError(what, came=f"{len(data)} bytes", allowed=f"at most {max_bytes} bytes")
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_unique_keys, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise SessionError(what, came=f"no JSON ({error})", allowed="one JSON object in UTF-8") from None
    return Fields(what, value)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key came twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


class Fields:
    """One JSON object, read field by field; every method raises `SessionError` naming the field."""

    def __init__(self, what: str, value: object) -> None:
        if not isinstance(value, dict):
            raise SessionError(what, came=type(value).__name__, allowed="an object")
        self.what = what
        self._value: dict[str, Any] = value

    def __contains__(self, name: str) -> bool:
        return self._value.get(name) is not None

    def keys(self) -> list[str]:
        """The names that came."""
        return list(self._value)

    def integer(self, name: str, low: int = 0, high: int = MAX_INT63) -> int:
        """A whole number in `low`..`high`."""
        value = self._get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self._refuse(name, value, f"a whole number from {low} to {high}")
        return value

    def optional_integer(self, name: str, low: int = 0, high: int = MAX_INT63) -> int | None:
        """As `integer`; None when missing or null."""
        return self.integer(name, low, high) if name in self else None

    def number(self, name: str, low: float, high: float) -> float:
        """A finite number in `low`..`high`."""
        value = self._get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise self._refuse(name, value, f"a number from {low} to {high}")
        return float(value)

    def optional_number(self, name: str, low: float, high: float) -> float | None:
        """As `number`; None when missing or null."""
        return self.number(name, low, high) if name in self else None

    def text(self, name: str, max_chars: int = MAX_TEXT, pattern: re.Pattern[str] | None = None) -> str:
        """Printable text of at most `max_chars` characters that `pattern`, when given, matches whole."""
        value = self._get(name)
        allowed = f"printable text of at most {max_chars} characters" + (f" like {pattern.pattern}" if pattern else "")
        if not isinstance(value, str) or len(value) > max_chars or not value.isprintable():
            raise self._refuse(name, value, allowed)
        if pattern and not pattern.fullmatch(value):
            raise self._refuse(name, value, allowed)
        return value

    def items(self, name: str, max_items: int) -> list[Any]:
        """An array of at most `max_items`."""
        value = self._get(name)
        if not isinstance(value, list) or len(value) > max_items:
            raise self._refuse(name, value, f"an array of at most {max_items}")
        return value

    def fields(self, name: str) -> Fields:
        """A nested object."""
        return Fields(f"{self.what}.{name}", self._get(name))

    def objects(self, name: str, max_items: int) -> list[Fields]:
        """An array of at most `max_items` objects."""
        return [Fields(f"{self.what}.{name}", item) for item in self.items(name, max_items)]

    def ranges(self, name: str, max_items: int) -> tuple[tuple[int, int], ...]:
        """An array of at most `max_items` pairs [first, last] of sequence numbers."""
        found: list[tuple[int, int]] = []
        for item in self.items(name, max_items):
            match item:
                case [int(first), int(last)] if (
                    bool not in (type(first), type(last)) and 1 <= first <= last <= MAX_INT63
                ):
                    found.append((first, last))
                case _:
                    raise self._refuse(name, item, "pairs [first, last] of numbers from 1")
        return tuple(found)

    def _get(self, name: str) -> Any:
        value = self._value.get(name)
        if value is None:
            raise SessionError(f"{self.what}.{name}", came="nothing", allowed="a value")
        return value

    def _refuse(self, name: str, value: object, allowed: str) -> SessionError:
        return SessionError(f"{self.what}.{name}", came=repr(value)[:80], allowed=allowed)
