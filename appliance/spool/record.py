"""One spooled event as bytes, and the way back from bytes of which any part may be damaged.

Rules of this file: no I/O, no clock. `scan` ends on every input, in time linear in its length, and never raises:
what is whole comes out as a record, every other byte is named in a `Damage`.

Layout (big endian), every record self-contained so that a damaged neighbour costs only itself:

    marker 4 | version 1 | priority 1 | zero 2 | length 4 | epoch 8 | seq 8 | ordinal 8 | accepted_ns 8 | header CRC 4
    fragment `length` bytes
    fragment CRC 4, begun with the header CRC so that a fragment cannot pass under another record's header

The CRC is CRC-32 (`zlib.crc32`): it is there for torn writes and rotten flash, not against a forger.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

# Two bytes that no UTF-8 text holds, so that searching for the next record does not stop inside an XML fragment.
MARKER = b"\xf5VR\xff"
VERSION = 1
_HEADER = struct.Struct(">4sBBHIQQQQ")
_CRC = struct.Struct(">I")
HEADER_BYTES = _HEADER.size + _CRC.size
OVERHEAD_BYTES = HEADER_BYTES + _CRC.size
# A fragment is one event with one packet of at most 64 KiB: four characters per byte are the worst encoding we have.
MAX_FRAGMENT_BYTES = 1 << 20
MAX_NUMBER = (1 << 63) - 1
# What a scan may spend on checksums of fragments that turn out to be false, as a multiple of the input's length.
_CHECK_FACTOR = 4


@dataclass(frozen=True, slots=True)
class Record:
    """One accepted event.

    `ordinal` counts the accepted events of this spool over all epochs, from 1; `accepted_ns` is wall time.
    """

    epoch: int
    seq: int
    ordinal: int
    priority: int
    accepted_ns: int
    fragment: bytes


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of a segment that are not a whole record: where, how many, and what was found there."""

    offset: int
    length: int
    what: str


@dataclass(frozen=True, slots=True)
class Found:
    """A whole record and the offsets at which it begins and ends."""

    offset: int
    end: int
    record: Record


def encode_record(record: Record) -> bytes:
    """The bytes of one record.

    Raises:
        ValueError: a number is outside its field, or the fragment is longer than `MAX_FRAGMENT_BYTES`.
    """
    if len(record.fragment) > MAX_FRAGMENT_BYTES:
        raise ValueError(f"fragment of {len(record.fragment)} bytes, at most {MAX_FRAGMENT_BYTES} fit a record")
    for name, value, low, high in (
        ("epoch", record.epoch, 0, MAX_NUMBER),
        ("seq", record.seq, 1, MAX_NUMBER),
        ("ordinal", record.ordinal, 1, MAX_NUMBER),
        ("accepted_ns", record.accepted_ns, 0, MAX_NUMBER),
        ("priority", record.priority, 0, 255),
    ):
        if not low <= value <= high:
            raise ValueError(f"{name} is {value}, allowed are {low} to {high}")
    head = _HEADER.pack(
        MARKER,
        VERSION,
        record.priority,
        0,
        len(record.fragment),
        record.epoch,
        record.seq,
        record.ordinal,
        record.accepted_ns,
    )
    head_crc = zlib.crc32(head)
    body_crc = zlib.crc32(record.fragment, head_crc)
    return b"".join((head, _CRC.pack(head_crc), record.fragment, _CRC.pack(body_crc)))


def _header_at(data: bytes, offset: int) -> tuple[int, int, Record] | None:
    """(fragment length, header CRC, record without its fragment) if a whole, sound header begins at `offset`."""
    if offset + HEADER_BYTES > len(data):
        return None
    (crc,) = _CRC.unpack_from(data, offset + _HEADER.size)
    if zlib.crc32(memoryview(data)[offset : offset + _HEADER.size]) != crc:
        return None
    marker, version, priority, zero, length, epoch, seq, ordinal, accepted_ns = _HEADER.unpack_from(data, offset)
    if marker != MARKER or version != VERSION or zero != 0 or length > MAX_FRAGMENT_BYTES:
        return None
    if not (1 <= seq <= MAX_NUMBER and 1 <= ordinal <= MAX_NUMBER and epoch <= MAX_NUMBER):
        return None
    return length, crc, Record(epoch, seq, ordinal, priority, accepted_ns, b"")


def scan(data: bytes, offset: int = 0) -> Iterator[Found | Damage]:
    """Every whole record of `data` from `offset` on, in order, and every stretch of bytes that is none.

    After damage the next record is looked for by its marker, so that one rotten byte costs one record.
    """
    end_of_data = len(data)
    check_budget = _CHECK_FACTOR * end_of_data
    bad_from, bad_what = -1, ""
    while offset < end_of_data:
        header = _header_at(data, offset)
        what = "no record header"
        if header is not None:
            length, head_crc, bare = header
            body = offset + HEADER_BYTES
            end = body + length + _CRC.size
            if end > end_of_data:
                what = f"record {bare.seq} is cut short: {end_of_data - offset} of {end - offset} bytes"
            else:
                fragment = data[body : body + length]
                check_budget -= length
                if zlib.crc32(fragment, head_crc) == _CRC.unpack_from(data, body + length)[0]:
                    if bad_from >= 0:
                        yield Damage(bad_from, offset - bad_from, bad_what)
                        bad_from = -1
                    record = Record(bare.epoch, bare.seq, bare.ordinal, bare.priority, bare.accepted_ns, fragment)
                    yield Found(offset, end, record)
                    offset = end
                    continue
                what = f"record {bare.seq} fails its checksum"
        if bad_from < 0:
            bad_from, bad_what = offset, what
        if check_budget <= 0:
            break
        following = data.find(MARKER, offset + 1)
        offset = end_of_data if following < 0 else following
    if bad_from >= 0:
        yield Damage(bad_from, end_of_data - bad_from, bad_what)
