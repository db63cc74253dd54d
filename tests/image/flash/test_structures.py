"""The partition table and the FAT file system: read whatever comes, changed only where they say so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image.flash.errors import ImageRefusedError, SettingsRefusedError
from image.flash.fat16 import entries_of, plan_file, read_file
from image.flash.gpt import HEAD_BYTES, parse_table
from image.flash.progress import Progress
from image.flash.zstd_stream import MAGIC, content_size
from tests.image.flash.sticks import MIB, fat16, gpt

AT = (2026, 11, 24, 12, 30, 58)
NAME = "vedette-setup.toml"
SIZE = 4 * MIB
HEAD = gpt([("ESP", bytes(MIB)), ("VEDETTE", bytes(MIB))])[:HEAD_BYTES]


def put(volume: bytearray, data: bytes, name: str = NAME) -> list[tuple[int, bytes]]:
    writes = plan_file(lambda at, size: bytes(volume[at : at + size]), len(volume), name, data, AT)
    for offset, piece in writes:
        volume[offset : offset + len(piece)] = piece
    return writes


def got(volume: bytearray, name: str = NAME) -> bytes:
    return read_file(lambda at, size: bytes(volume[at : at + size]), len(volume), name)


@given(st.binary(max_size=5000), st.sampled_from([1, 2]))
def test_a_file_is_there_as_it_was_given_and_everything_written_is_whole_sectors(data: bytes, spc: int) -> None:
    volume = fat16(SIZE, spc=1) if spc == 1 else fat16(2 * SIZE, spc=2)
    for offset, piece in put(volume, data):
        assert offset % 512 == len(piece) % 512 == 0
    assert got(volume) == data


def test_several_files_stand_beside_each_other() -> None:
    volume = fat16(SIZE)
    files = {f"vedette-setup-{n}.toml": bytes([n]) * 700 * n for n in range(1, 9)}
    for name, data in files.items():
        put(volume, data, name)
    assert {name: got(volume, name) for name in files} == files
    fat = volume[4 * 512 :]
    size = (len(fat) and int.from_bytes(volume[22:24], "little")) * 512
    assert fat[:size] == fat[size : 2 * size], "both tables say the same"


def test_a_name_that_is_taken_is_refused() -> None:
    volume = fat16(SIZE)
    put(volume, b"first")
    with pytest.raises(SettingsRefusedError, match="already"):
        put(volume, b"second", NAME.upper())
    assert got(volume) == b"first"


def test_a_file_without_room_changes_nothing() -> None:
    volume = fat16(SIZE)
    before = bytes(volume)
    with pytest.raises(SettingsRefusedError, match="room"):
        put(volume, bytes(SIZE))
    assert volume == before


def test_a_full_folder_is_refused() -> None:
    volume = fat16(SIZE, entries=16)
    for number in range(5):
        put(volume, b"x", f"{number}-vedette-setup.txt")
    with pytest.raises(SettingsRefusedError, match="full"):
        put(volume, b"x")


def test_a_chain_that_bites_its_tail_ends() -> None:
    volume = fat16(SIZE)
    put(volume, b"x" * 600)
    volume[4 * 512 + 6 : 4 * 512 + 8] = b"\x02\x00"
    assert len(got(volume)) == 600


@given(st.lists(st.tuples(st.integers(0, 4 * 512 + 100), st.integers(0, 255)), max_size=12))
def test_a_damaged_file_system_ends_in_one_name(damage: list[tuple[int, int]]) -> None:
    volume = fat16(SIZE)
    for at, value in damage:
        volume[at] = value
    try:
        put(volume, b"data")
        got(volume)
    except SettingsRefusedError:
        pass


@given(st.binary(max_size=2048))
def test_any_folder_can_be_looked_at(root: bytes) -> None:
    entries_of(root.ljust(-(-len(root) // 32) * 32, b"\0"))


def test_the_table_of_a_stick() -> None:
    table = parse_table(HEAD)
    assert [(area.label, area.offset_bytes, area.size_bytes) for area in table.areas] == [
        ("ESP", MIB, MIB),
        ("VEDETTE", 2 * MIB, MIB),
    ]
    assert table.disk_bytes == 3 * MIB + 33 * 512
    assert [table.at(at) for at in (0, MIB, 3 * MIB)] == [
        "the partition table",
        "partition ESP",
        "between partitions",
    ]


@given(st.integers(512, 512 + 91) | st.integers(1024, 1024 + 255), st.integers(1, 255))
def test_every_changed_byte_of_the_table_is_noticed(at: int, flip: int) -> None:
    head = bytearray(HEAD)
    head[at] ^= flip
    with pytest.raises(ImageRefusedError):
        parse_table(bytes(head))


@given(st.binary(max_size=4096))
def test_what_is_no_table_has_one_name(data: bytes) -> None:
    with pytest.raises(ImageRefusedError):
        parse_table(data)
    with pytest.raises(ImageRefusedError):
        parse_table(bytes(512) + b"EFI PART" + data)


@given(st.binary(max_size=40))
def test_any_head_of_a_zstd_file_gives_a_size_or_none(data: bytes) -> None:
    assert content_size(data) is None or data[:4] == MAGIC
    assert content_size(MAGIC + data) is None or len(data) >= 14


def test_the_rate_is_that_of_the_last_while() -> None:
    progress = Progress("write", 100 * MIB, 0.0)
    assert progress.line(0.0) == "write  0 of 100 MiB, 0 %"
    progress.add(50 * MIB, 1.0)
    for second in range(2, 22):
        progress.add(MIB, float(second))
    assert progress.rate(21.0) == MIB
    assert progress.line(21.0) == "write  70 of 100 MiB, 70 %, 1.0 MiB/s, 0:30 left"
