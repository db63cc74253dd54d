"""Octets as text, in the three encodings that sensor/@encoding names.

Rules of this file: `hex` and `base64` are reversible, `ascii` is not (every octet outside 0x20-0x7E is written as
`.`, as the 2001 plug-in did), so decoding `ascii` gives the characters as they stand. Raises SnmlError only.
"""

from __future__ import annotations

import binascii

from appliance.wire.snml.model import Encoding
from appliance.wire.snml.reject import RejectCode, SnmlError

_ASCII = bytes(c if 0x20 <= c <= 0x7E else 0x2E for c in range(256))
_SPACE = str.maketrans("", "", " \t\r\n")


def as_ascii(data: bytes) -> bytes:
    """What is left of `data` in the ascii encoding."""
    return data.translate(_ASCII)


def encode_octets(data: bytes, encoding: Encoding) -> str:
    """`data` as text; in the ascii encoding `<`, `&` and `>` still have to be escaped. Hex is in upper case, as in
    2001.
    """
    if encoding is Encoding.HEX:
        return data.hex().upper()
    if encoding is Encoding.BASE64:
        return binascii.b2a_base64(data, newline=False).decode("ascii")
    return data.translate(_ASCII).decode("ascii")


def option_encoding(encoding: Encoding) -> Encoding:
    """Options are binary: where payloads are ascii they are hex, as the 2001 plug-in wrote them."""
    return Encoding.HEX if encoding is Encoding.ASCII else encoding


def decode_octets(text: str, encoding: Encoding, max_octets: int) -> bytes:
    """The octets that `text` stands for. White space inside hex and base64 is skipped (2001 wrapped base64 at 72
    columns).

    Raises:
        SnmlError: DATA_ENCODING or DATA_TOO_LONG.
    """
    # Three characters an octet is the loosest form (hex with a space between octets); 64 more for indentation.
    if len(text) > 3 * max_octets + 64:
        raise SnmlError(RejectCode.DATA_TOO_LONG, f"{len(text)} characters", f"at most {max_octets} octets")
    try:
        if encoding is Encoding.ASCII:
            data = text.encode("ascii")
            if data.translate(_ASCII) != data:
                raise SnmlError(RejectCode.DATA_ENCODING, text, "characters 0x20 to 0x7E")
        else:
            try:
                data = _unpack(text, encoding)
            except ValueError:
                data = _unpack(text.translate(_SPACE), encoding)
    except ValueError:
        raise SnmlError(RejectCode.DATA_ENCODING, text, f"octets in {encoding}") from None
    if len(data) > max_octets:
        raise SnmlError(RejectCode.DATA_TOO_LONG, f"{len(data)} octets", f"at most {max_octets} octets")
    return data


def _unpack(text: str, encoding: Encoding) -> bytes:
    return binascii.unhexlify(text) if encoding is Encoding.HEX else binascii.a2b_base64(text, strict_mode=True)
