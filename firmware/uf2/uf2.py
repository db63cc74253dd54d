"""UF2, the container that a boot ROM takes over USB: blocks of 512 octets, each with its place in flash.

    magic (2 words)  flags  target address  payload size  block number  blocks in all  family id  476 octets  magic

Rules of this file: octets in, one `Image` or `ImageError` out, in one pass; nothing is read from disk. Format:
Microsoft, "USB Flashing Format (UF2)". RP2350 images open with one block of another family that lies at the end of
flash, which works round its erratum RP2350-E10; it carries no code and is left out.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from firmware.uf2.errors import ImageError

BLOCK_BYTES = 512
FLASH_START = 0x10000000
FLASH_END = 0x11000000
MOST_BYTES = 16 * 1024 * 1024
"""No board of ours has more flash; twice that is the longest file looked at."""

_HEAD = struct.Struct("<8I")
_MAGIC_0, _MAGIC_1, _MAGIC_END = 0x0A324655, 0x9E5D5157, 0x0AB16F30
_NOT_MAIN_FLASH, _HAS_FAMILY = 0x1, 0x2000
_MOST_PAYLOAD = 476
_FAMILY_ABSOLUTE = 0xE48BFF57


@dataclass(frozen=True, slots=True)
class Image:
    """What a board gets: code of one family from the start of flash on, without a hole."""

    family: int
    code: bytes


def parse(data: bytes) -> Image:
    """Check a UF2 file whole.

    Raises:
        ImageError: it is no UF2 file, is of two families, has a hole, or lies outside flash.
    """
    if not data or len(data) % BLOCK_BYTES or len(data) > 2 * MOST_BYTES:
        raise ImageError(f"{len(data)} octets came; blocks of {BLOCK_BYTES}, at most {2 * MOST_BYTES}, were allowed")
    code = bytearray()
    family = expected = total = 0
    for at in range(0, len(data), BLOCK_BYTES):
        where = f"block at {at}"
        magic_0, magic_1, flags, address, size, number, blocks, kin = _HEAD.unpack_from(data, at)
        (end,) = struct.unpack_from("<I", data, at + BLOCK_BYTES - 4)
        if (magic_0, magic_1, end) != (_MAGIC_0, _MAGIC_1, _MAGIC_END):
            raise ImageError(f"{where}: no UF2 magic")
        if flags & _NOT_MAIN_FLASH or not flags & _HAS_FAMILY:
            raise ImageError(f"{where}: flags {flags:#x} came; main flash with a family was allowed")
        if not 0 < size <= _MOST_PAYLOAD:
            raise ImageError(f"{where}: {size} octets of payload came; 1 to {_MOST_PAYLOAD} were allowed")
        if not FLASH_START <= address <= FLASH_END - size:
            raise ImageError(f"{where}: address {address:#x} is outside flash")
        if kin == _FAMILY_ABSOLUTE and not expected:
            continue
        family, total = (family, total) if expected else (kin, blocks)
        if (kin, blocks, number) != (family, total, expected):
            raise ImageError(f"{where}: block {number} of {blocks}, family {kin:#x}; {expected} of {total} was next")
        if address != FLASH_START + len(code):
            raise ImageError(f"{where}: address {address:#x} came; {FLASH_START + len(code):#x} was next")
        payload_at = at + _HEAD.size
        code += data[payload_at : payload_at + size]
        expected += 1
    if not expected or expected != total:
        raise ImageError(f"{expected} blocks came; the file says {total}")
    return Image(family, bytes(code))


def build(image: Image, payload_bytes: int = 256) -> bytes:
    """The file for an image: what `parse` reads. For tests and for images that are changed after their build."""
    pieces = [image.code[at : at + payload_bytes] for at in range(0, len(image.code), payload_bytes)]
    blocks = []
    for number, piece in enumerate(pieces):
        address = FLASH_START + number * payload_bytes
        head = _HEAD.pack(
            _MAGIC_0, _MAGIC_1, _HAS_FAMILY, address, len(piece), number, len(pieces), image.family
        )  # fmt: skip
        blocks.append((head + piece).ljust(BLOCK_BYTES - 4, b"\0") + struct.pack("<I", _MAGIC_END))
    return b"".join(blocks)
