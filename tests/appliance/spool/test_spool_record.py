"""The record format: what was written comes back, what was damaged is named, and a scan ends on every input."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.spool.record import (
    HEADER_BYTES,
    MARKER,
    MAX_FRAGMENT_BYTES,
    MAX_NUMBER,
    OVERHEAD_BYTES,
    Damage,
    Found,
    Record,
    encode_record,
    scan,
)

numbers = st.integers(1, MAX_NUMBER)
records = st.builds(
    Record,
    epoch=st.integers(0, MAX_NUMBER),
    seq=numbers,
    ordinal=numbers,
    priority=st.integers(0, 255),
    accepted_ns=st.integers(0, MAX_NUMBER),
    fragment=st.binary(max_size=80),
)


def made(seq: int, fragment: bytes = b"<event/>") -> bytes:
    return encode_record(Record(7, seq, seq, 1, 1, fragment))


@given(st.lists(records, max_size=5))
def test_what_was_written_comes_back(written: list[Record]) -> None:
    found = list(scan(b"".join(encode_record(record) for record in written)))
    assert [item.record for item in found if isinstance(item, Found)] == written


@given(st.binary(max_size=300), st.lists(records, max_size=3), st.binary(max_size=300))
def test_every_byte_is_in_a_record_or_named_as_damage(before: bytes, written: list[Record], after: bytes) -> None:
    data = before + b"".join(encode_record(record) for record in written) + after
    at = 0
    for item in scan(data):
        assert item.offset == at
        at = item.end if isinstance(item, Found) else item.offset + item.length
    assert at == len(data)


def test_one_flipped_byte_costs_one_record_only() -> None:
    parts = [made(seq) for seq in (1, 2, 3)]
    data = b"".join(parts)
    for place in range(len(parts[0]), len(parts[0]) + len(parts[1])):
        spoiled = bytearray(data)
        spoiled[place] ^= 0x41
        kept = [item.record.seq for item in scan(bytes(spoiled)) if isinstance(item, Found)]
        assert kept == [1, 3], f"byte {place}"


def test_a_cut_costs_the_cut_record_only_and_says_so() -> None:
    data = made(1) + made(2)
    for length in range(len(made(1)), len(data)):
        items = list(scan(data[:length]))
        assert [item.record.seq for item in items if isinstance(item, Found)] == [1]
        assert [item for item in items if isinstance(item, Damage)] == (
            [] if length == len(made(1)) else [items[-1]]
        )  # fmt: skip


def test_a_fragment_cannot_pass_under_another_records_header() -> None:
    one, two = made(1, b"a" * 9), made(2, b"b" * 9)
    grafted = one[:HEADER_BYTES] + two[HEADER_BYTES:]
    assert not any(isinstance(item, Found) for item in scan(grafted))


def test_a_record_inside_a_fragment_is_not_a_record() -> None:
    inner = made(9)
    found = [item for item in scan(made(1, inner)) if isinstance(item, Found)]
    assert [item.record.seq for item in found] == [1]


def test_many_false_headers_cannot_make_a_scan_slow() -> None:
    """Each header is sound and claims a long fragment; checking every claim to its end would be quadratic."""
    header = encode_record(Record(7, 1, 1, 1, 1, b"x" * 100_000))[:HEADER_BYTES]
    data = header * 20_000
    items = list(scan(data))
    assert [type(item) for item in items] == [Damage]
    assert items[0].length == len(data)


@pytest.mark.parametrize("seq", [0, MAX_NUMBER + 1])
def test_a_number_outside_its_field_is_refused(seq: int) -> None:
    with pytest.raises(ValueError, match="seq is"):
        encode_record(Record(7, seq, 1, 1, 1, b""))


def test_a_fragment_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="at most"):
        made(1, b"x" * (MAX_FRAGMENT_BYTES + 1))


def test_the_overhead_is_what_it_is_said_to_be() -> None:
    assert len(made(1, b"")) == OVERHEAD_BYTES
    assert made(1).startswith(MARKER)
