"""A UF2 file ends in one whole image or in a named refusal, whatever its octets."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.uf2.boards import BOARDS
from firmware.uf2.errors import ImageError
from firmware.uf2.uf2 import BLOCK_BYTES, FLASH_START, Image, build, parse

FAMILY = BOARDS[0].family
WHOLE = build(Image(FAMILY, bytes(range(256)) * 4))
# Offsets of a block's words.
MAGIC, FLAGS, ADDRESS, SIZE, NUMBER, BLOCKS, KIN = 0, 8, 12, 16, 20, 24, 28
END_MAGIC = BLOCK_BYTES - 4


def changed(block: int, offset: int, value: int) -> bytes:
    data = bytearray(WHOLE)
    struct.pack_into("<I", data, block * BLOCK_BYTES + offset, value)
    return bytes(data)


@given(st.binary(min_size=1, max_size=5000), st.integers(1, 476))
def test_what_is_built_is_what_is_read(code: bytes, payload_bytes: int) -> None:
    assert parse(build(Image(FAMILY, code), payload_bytes)) == Image(FAMILY, code)


@given(st.binary(max_size=4 * BLOCK_BYTES))
def test_any_octets_are_refused_by_name(data: bytes) -> None:
    with pytest.raises(ImageError):
        parse(data)


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_a_changed_octet_is_refused_or_gives_code_of_the_same_length(at: int, change: int) -> None:
    data = bytearray(WHOLE)
    data[at] ^= change
    try:
        image = parse(bytes(data))
    except ImageError:
        return
    assert len(image.code) == 1024


@pytest.mark.parametrize(
    ("attack", "data"),
    [
        ("nothing", b""),
        ("half a block", WHOLE[:-256]),
        ("the last block is missing", WHOLE[:-BLOCK_BYTES]),
        ("a block more", WHOLE + WHOLE[-BLOCK_BYTES:]),
        ("a block twice", WHOLE[:BLOCK_BYTES] + WHOLE[: 3 * BLOCK_BYTES]),
        ("blocks in another order", WHOLE[BLOCK_BYTES:] + WHOLE[:BLOCK_BYTES]),
        ("no magic", changed(1, MAGIC, 0)),
        ("no magic at the end", changed(1, END_MAGIC, 0)),
        ("not for main flash", changed(1, FLAGS, 0x2001)),
        ("no family", changed(1, FLAGS, 0)),
        ("two families", changed(2, KIN, BOARDS[1].family)),
        ("a hole", changed(2, ADDRESS, FLASH_START + 0x10000)),
        ("over what is there already", changed(2, ADDRESS, FLASH_START)),
        ("into memory", changed(0, ADDRESS, 0x20000000)),
        ("past the end of flash", changed(3, ADDRESS, 0x10FFFF80)),
        ("an empty block", changed(1, SIZE, 0)),
        ("a payload longer than a block", changed(1, SIZE, 477)),
        ("a number out of order", changed(1, NUMBER, 3)),
        ("another count", changed(2, BLOCKS, 5)),
    ],
)
def test_a_file_that_is_not_whole_is_refused(attack: str, data: bytes) -> None:
    with pytest.raises(ImageError):
        parse(data)


def test_the_block_of_the_erratum_carries_no_code() -> None:
    """RP2350-E10: one block of the absolute family at the end of flash, in front of all others."""
    data = bytearray(build(Image(0xE48BFF57, bytes(256))))
    struct.pack_into("<I", data, ADDRESS, 0x10FFFF00)
    assert parse(bytes(data) + WHOLE) == parse(WHOLE)
    with pytest.raises(ImageError):
        parse(bytes(data))
