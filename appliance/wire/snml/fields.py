"""Every attribute and text of the vocabulary with its type and range: the hard-coded half of the check.

Rules of this file: encoder and decoder read these tables and nothing else, so that they cannot disagree; a test
compares the tables with snml.dtd. A reader takes (element, attribute, text) and gives the value or raises SnmlError.
Ranges are the widths of the header fields (RFC 791, 8200, 9293, 768, 792); lengths of texts cite their reason where
they are set.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Mapping
from typing import Any

from appliance.wire.snml.reject import RejectCode, SnmlError

U3, U4, U8, U13, U16, U20, U32 = 7, 15, 255, 8191, 65535, 2**20 - 1, 2**32 - 1
U63 = 2**63 - 1
"""SQLite and most languages have signed 64-bit integers at most."""

MAX_SIGNATURE_CHARS = 1024
MAX_REFERENCE_CHARS = 1024
MAX_WORD_CHARS = 64
MAX_HOSTNAME_CHARS = 253
"""RFC 1035 section 2.3.4, without the final dot."""
MAX_PATH_CHARS = 4096
"""PATH_MAX of Linux; BPF filters have the same bound."""
MAX_FACT_CHARS = 4096
MAX_FACTS = 64
MAX_REFERENCES = 64
MAX_OPTIONS = 40
"""IP and TCP headers have 40 octets of options (RFC 791, RFC 9293), an option takes at least one."""
MAX_OPTION_OCTETS = 40
MAX_DATA_OCTETS = 65535
MAX_RAW_OCTETS = 65535 + 40
"""An IPv6 datagram: 40 octets of header, 16 bits of payload length (RFC 8200 section 3)."""

MASKED_V4 = "xxx.xxx.xxx.xxx"
"""A masked address, as the 2001 plug-in wrote it."""
MASKED_V6 = "xxxx:xxxx:xxxx:xxxx:xxxx:xxxx:xxxx:xxxx"

# (attribute = field of the dataclass, largest value, must it be there), in the order in which they are written.
Numbers = tuple[tuple[str, int, bool], ...]
IPHDR: Numbers = (
    ("proto", U8, True), ("ver", U4, False), ("hlen", U4, False), ("tos", U8, False), ("len", U16, False),
    ("id", U16, False), ("flags", U3, False), ("off", U13, False), ("ttl", U8, False), ("csum", U16, False),
)  # fmt: skip
TCPHDR: Numbers = (
    ("sport", U16, True), ("dport", U16, True), ("flags", U8, True), ("seq", U32, False), ("ack", U32, False),
    ("off", U4, False), ("res", U4, False), ("win", U16, False), ("csum", U16, False), ("urp", U16, False),
)  # fmt: skip
UDPHDR: Numbers = (("sport", U16, True), ("dport", U16, True), ("len", U16, False), ("csum", U16, False))
ICMPHDR: Numbers = (
    ("type", U8, True), ("code", U8, True), ("csum", U16, False), ("id", U16, False), ("seq", U16, False),
)  # fmt: skip
# Attributes here have shorter names than the dataclass fields: IPV6_FIELDS pairs them.
IPV6HDR: Numbers = (
    ("proto", U8, True), ("ver", U4, True), ("tclass", U8, False), ("flow", U20, False), ("len", U16, False),
    ("hlim", U8, False), ("doff", U16, False),
)  # fmt: skip
IPV6_FIELDS: Mapping[str, str] = {
    "proto": "proto", "ver": "ver", "tclass": "tclass", "flow": "flow_label", "len": "payload_len", "hlim": "hop_limit",
    "doff": "data_offset",
}  # fmt: skip
SEQUENCE: Numbers = (("epoch", U63, True), ("seq", U63, True))
RULE: Numbers = (("gid", U32, True), ("sid", U32, True), ("rev", U32, True))
SIGNATURE: Numbers = (("id", U32, False), ("revision", U32, False), ("priority", U8, False))

PROTO_ICMP, PROTO_TCP, PROTO_UDP, PROTO_ICMPV6 = 1, 6, 17, 58

Reader = Callable[[str, str, str], Any]

# XML 1.0 cannot carry most of these at all; the rest would break one-line logs and terminals.
BAD_CHARS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,63}", re.ASCII)
_FACT_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,63}", re.ASCII)
_HOSTNAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_COMMUNITY_ID = re.compile(r"1:[A-Za-z0-9+/]{27}=", re.ASCII)  # version 1: SHA-1 in base64


def number(largest: int, smallest: int = 0) -> Reader:
    """A reader of plain decimal numbers: digits only, no sign, no leading zero (octal to some readers)."""
    digits = len(str(largest))

    def read(element: str, name: str, text: str) -> int:
        if len(text) <= digits and text.isascii() and text.isdigit() and (text[0] != "0" or text == "0"):
            value = int(text)
            if smallest <= value <= largest:
                return value
        raise SnmlError(
            RejectCode.NUMBER, f'{element} {name}="{text}"', f"decimal {smallest} to {largest}, no leading zero"
        )

    return read


def text_reader(max_chars: int, *, empty: bool = False) -> Reader:
    """A reader of one-line texts."""

    def read(element: str, name: str, text: str) -> str:
        if len(text) > max_chars:
            raise SnmlError(
                RejectCode.TEXT_TOO_LONG, f"{_where(element, name)} of {len(text)} characters", f"at most {max_chars}"
            )
        if not text and not empty:
            raise SnmlError(RejectCode.TEXT, f"empty {_where(element, name)}", "at least one character")
        if not text.isprintable() and (bad := BAD_CHARS.search(text)):
            raise SnmlError(
                RejectCode.TEXT, f"{_where(element, name)} with character U+{ord(bad[0]):04X}", "no control characters"
            )
        return text

    return read


def pattern_reader(pattern: re.Pattern[str], allowed: str, code: RejectCode = RejectCode.TEXT) -> Reader:
    """A reader of texts that have a form of their own."""

    def read(element: str, name: str, text: str) -> str:
        # The longest form is a host name; the length first, so that a long text costs nothing.
        if len(text) <= MAX_HOSTNAME_CHARS and pattern.fullmatch(text):
            return text
        raise SnmlError(code, f"{_where(element, name)} {text!r}", allowed)

    return read


def is_word(text: str) -> bool:
    """Whether `text` may stand where a word is asked for."""
    return _WORD.fullmatch(text) is not None


def is_fact_name(text: str) -> bool:
    """Whether `text` may name a fact."""
    return _FACT_NAME.fullmatch(text) is not None


def _where(element: str, name: str) -> str:
    return f"{element} {name}" if name else element


def ipv4(element: str, name: str, text: str) -> str:
    """A dotted quad; never a name, never 0-padded."""
    return _address(socket.AF_INET, "IPv4 address as a dotted quad", element, name, text)


def ipv6(element: str, name: str, text: str) -> str:
    """An IPv6 address in any legal form (RFC 4291 section 2.2); the value is the canonical one (RFC 5952). No zone."""
    return _address(socket.AF_INET6, "IPv6 address without a zone", element, name, text)


def _address(family: int, allowed: str, element: str, name: str, text: str) -> str:
    if len(text) <= 45 and text.isascii():
        try:
            return socket.inet_ntop(family, socket.inet_pton(family, text))
        except (OSError, ValueError):
            pass
    raise SnmlError(RejectCode.ADDRESS, f'{element} {name}="{text}"', allowed)


def masked_ipv4(element: str, name: str, text: str) -> str | None:
    """A dotted quad, or None for the mask."""
    return None if text == MASKED_V4 else ipv4(element, name, text)


def masked_ipv6(element: str, name: str, text: str) -> str | None:
    """An IPv6 address, or None for the mask."""
    return None if text == MASKED_V6 else ipv6(element, name, text)


def token(*words: str) -> Reader:
    """A reader of a closed list of words."""

    def read(element: str, name: str, text: str) -> str:
        if text in words:
            return text
        raise SnmlError(RejectCode.TOKEN, f'{element} {name}="{text}"', " or ".join(words))

    return read


word = pattern_reader(_WORD, "a word of at most 64 letters, digits and . _ : + -")
fact_name = pattern_reader(_FACT_NAME, "a field name in lower case, as http.host")
hostname = pattern_reader(_HOSTNAME, "a host name of at most 253 characters")
uuid = pattern_reader(_UUID, "a UUID in lower case (RFC 9562 section 4)")
community_id = pattern_reader(_COMMUNITY_ID, "a Community ID of version 1")
signature_text = text_reader(MAX_SIGNATURE_CHARS)
class_text = text_reader(MAX_WORD_CHARS)
reference_text = text_reader(MAX_REFERENCE_CHARS)
path_text = text_reader(MAX_PATH_CHARS)
word_text = text_reader(MAX_WORD_CHARS)
fact_text = text_reader(MAX_FACT_CHARS, empty=True)


def readers(numbers: Numbers, **others: Reader) -> dict[str, Reader | int]:
    """Attribute name -> reader, or the largest value of a plain number, for the decoder."""
    return {**others, **{name: largest for name, largest, _ in numbers}}


def required(numbers: Numbers, *others: str) -> tuple[str, ...]:
    """The attributes that must be there."""
    return (*others, *(name for name, _, must in numbers if must))
