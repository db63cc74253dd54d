"""Free text made fit for the wire: visible instead of invisible, cut instead of refused, escaped.

Rules of this file: total functions, no errors. A rule's message or a fact from the network may hold anything; the
alert must still go out, on one line, and show that something was replaced (`\\x00`) or cut (`…`).
"""

from __future__ import annotations

import re

from appliance.wire.snml.fields import BAD_CHARS, MAX_HOSTNAME_CHARS

_NOT_HOSTNAME = re.compile(r"[^A-Za-z0-9_.-]")


def _visible(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def clean(text: str, max_chars: int) -> str:
    """`text` with control characters and what XML 1.0 cannot carry written as `\\xNN` or `\\uNNNN`, of at most
    `max_chars`.
    """
    if not text.isprintable():
        text = BAD_CHARS.sub(_visible, text[: max_chars + 1])
    if len(text) > max_chars:
        text = text[: max_chars - 1] + "…"
    return text


def clean_octets(data: bytes, max_chars: int) -> str:
    """Octets from the network as text: UTF-8 where it is, `\\xNN` where it is not; then as `clean`."""
    return clean(data[: 4 * max_chars + 4].decode("utf-8", "backslashreplace"), max_chars)


def fit_hostname(text: str) -> str:
    """`text` as a host name that the decoder takes: a host may be called anything, and must not fall silent for it."""
    fit = _NOT_HOSTNAME.sub("-", text[:MAX_HOSTNAME_CHARS]).strip("-.")
    return fit or "unnamed"


def escape(text: str) -> str:
    """`text` for element content or a quoted attribute. Quotes are escaped everywhere, which lets the decoder bound
    attributes by counting quotes.
    """
    if "&" in text:
        text = text.replace("&", "&amp;")
    if "<" in text:
        text = text.replace("<", "&lt;")
    if ">" in text:
        text = text.replace(">", "&gt;")
    if '"' in text:
        text = text.replace('"', "&quot;")
    if "'" in text:
        text = text.replace("'", "&#39;")
    return text
