"""A disk that cannot read some of its blocks: the rest of the spool is still delivered, what is lost is named."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from appliance.spool.record import Damage, Found, Record, encode_record, scan
from appliance.spool.segment import bytes_of

BLOCK = 64 * 1024


class RottenDisk:
    """Reads as the real one, but fails wherever a read touches a bad place."""

    def __init__(self, *bad: int) -> None:
        self.bad = bad

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        if any(offset <= place < offset + size for place in self.bad):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return os.pread(fd, size, offset)


@pytest.fixture
def segment(tmp_path: Path) -> Path:
    path = tmp_path / "0000000000000001.seg"
    path.write_bytes(b"".join(encode_record(Record(7, seq, seq, 1, 1, b"x" * 900)) for seq in range(1, 301)))
    return path


def test_a_sound_disk_gives_every_byte(segment: Path) -> None:
    data = segment.read_bytes()
    for start, end in ((0, 1 << 30), (5, 100_000), (BLOCK, BLOCK + 1), (len(data), len(data) + 9), (9, 9)):
        assert bytes_of(segment, start, end) == data[start:end]


def test_an_unreadable_block_costs_the_records_in_it(segment: Path) -> None:
    data = bytes_of(segment, 0, 1 << 30, pread=RottenDisk(BLOCK + 700).pread)
    assert len(data) == segment.stat().st_size
    items = list(scan(data))
    kept = [item.record.seq for item in items if isinstance(item, Found)]
    damage = [item for item in items if isinstance(item, Damage)]
    assert len(damage) == 1
    assert 300 - len(kept) <= BLOCK // 900 + 2
    assert kept[0] == 1
    assert kept[-1] == 300
