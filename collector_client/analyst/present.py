"""Values as an analyst reads them: times, sizes, addresses, protocols, references.

Rules of this file: pure, returns plain text or small records; escaping is the template's, always on. A link is made
only for http and https, everything else stays text.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import urlsplit

NS = 1_000_000_000

PROTOCOLS = {1: "ICMP", 2: "IGMP", 6: "TCP", 17: "UDP", 41: "IPv6", 47: "GRE", 50: "ESP", 58: "ICMPv6", 132: "SCTP"}
_UNITS = ((365 * 86_400, "y"), (86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_CVE = re.compile(r"(?:CVE-)?(\d{4}-\d{4,})", re.ASCII | re.IGNORECASE)
_BARE_URL = re.compile(r"[a-z0-9][a-z0-9.-]*\.[a-z]{2,}(?:[/?#:][^\s]*)?", re.ASCII | re.IGNORECASE)


class Link(NamedTuple):
    """A reference: what to show, and where to go (None: nowhere that is safe)."""

    system: str
    text: str
    href: str | None


def utc(ns: int, *, fraction: bool = False) -> str:
    """`2026-11-24 03:15:01`, with microseconds when `fraction` is set."""
    text = datetime.fromtimestamp(ns // NS, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return f"{text}.{ns % NS // 1_000:06d}" if fraction else text


def iso(ns: int) -> str:
    """For `<time datetime>`: `2026-11-24T03:15:01.123456Z`."""
    return utc(ns, fraction=True).replace(" ", "T") + "Z"


def duration(seconds: float) -> str:
    """In the largest unit that loses little: `90 s`, `3 min`, `41 h`, `6 d`; an exact hour or day is `1 h`, `1 d`."""
    whole = int(abs(seconds))
    for size, unit in _UNITS:
        if whole >= 2 * size or whole == size:
            return f"{whole // size} {unit}"
    return "0 s"


def relative(ns: int, now_ns: int) -> str:
    """`3 min ago`, `in 29 d`, `now`."""
    seconds = (now_ns - ns) / NS
    if abs(seconds) < 1:
        return "now"
    return f"{duration(seconds)} ago" if seconds > 0 else f"in {duration(seconds)}"


def size(octets: float) -> str:
    """`512 B`, `1.5 KiB`, `20 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if octets < 1024:
            return f"{octets:.0f} {unit}" if unit == "B" or octets >= 10 else f"{octets:.1f} {unit}"
        octets /= 1024
    return f"{octets:.1f} TiB"


def count(value: int) -> str:
    """`12 345`, with thin spaces so that columns of digits can be read."""
    return f"{value:,}".replace(",", "\u202f")


def protocol(number: int | None) -> str:
    """`TCP`, or the number where it has no name here."""
    return "" if number is None else PROTOCOLS.get(number, f"protocol {number}")


def endpoint(address: str | None, port: int | None) -> str:
    """`192.0.2.1:80`, `[2001:db8::1]:80`, or `masked` for an address that the sensor withheld."""
    shown = "masked" if address is None else f"[{address}]" if ":" in address and port is not None else address
    return shown if port is None else f"{shown}:{port}"


def spans(intervals: list[tuple[int, int]], shown: int = 4) -> str:
    """`9-19, 22 and 3 more`."""
    texts = [str(low) if low == high else f"{low}\u2013{high}" for low, high in intervals[:shown]]
    rest = len(intervals) - len(texts)
    return ", ".join(texts) + (f" and {rest} more" if rest > 0 else "")


def reference(system: str, text: str) -> Link:
    """A rule's reference as a link where it is safe and known where it leads."""
    if found := _CVE.fullmatch(text) if system.lower() == "cve" else None:
        return Link(system, f"CVE-{found[1]}", f"https://nvd.nist.gov/vuln/detail/CVE-{found[1]}")
    if system.lower() != "url":
        return Link(system, text, None)
    # Rules write `reference:url,example.org/page`, without a scheme.
    href = f"http://{text}" if _BARE_URL.fullmatch(text) else text
    try:
        parts = urlsplit(href)
        safe = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        safe = False
    return Link(system, text, href if safe and not re.search(r"[\s\x00-\x1f\\]", href) else None)
