"""Octets as the classic dump: offset, sixteen octets in hex, the same as ASCII. Pure; every octet outside 0x20-0x7E is
a dot.
"""

from __future__ import annotations

SHOWN_OCTETS = 16_384
_ASCII = bytes(octet if 0x20 <= octet <= 0x7E else 0x2E for octet in range(256))


def hexdump(data: bytes, limit: int = SHOWN_OCTETS) -> str:
    """Lines like `00000010  47 45 54 20 2f 20 48 54  54 50 2f 31 2e 31 0d 0a  |GET / HTTP/1.1..|`."""
    lines = []
    for offset in range(0, min(len(data), limit), 16):
        row = data[offset : min(offset + 16, limit)]
        halves = f"{row[:8].hex(' '):<23}  {row[8:].hex(' '):<23}"
        lines.append(f"{offset:08x}  {halves}  |{row.translate(_ASCII).decode('ascii')}|")
    return "\n".join(lines)


def as_text(data: bytes, limit: int = SHOWN_OCTETS) -> str:
    """The octets read as text: line breaks and tabs kept, whatever else is no printable ASCII shown as a middle dot."""
    table = {octet: "\u00b7" for octet in range(256) if not 0x20 <= octet <= 0x7E and octet not in (0x09, 0x0A)}
    return data[:limit].replace(b"\r\n", b"\n").decode("latin-1").translate(table)
