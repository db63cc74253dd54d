"""Small images of sticks, and computers that have sticks: files that look like what the tool reads.

Rules of this file: written against the specifications (UEFI 2.10 chapter 5, Microsoft's FAT 1.03), not with the code
under test.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

SECTOR = 512
MIB = 1024 * 1024
SETUP = """\
install = "unattended"\r
[collector]\r
urls = ["https://collector.example.net"]\r
ca_pin = "{pin}"\r
token = "t-{id}.{secret}"\r
[site]\r
tenant = "acme"\r
site = "berlin"\r
""".format(pin="ab" * 32, id="a" * 12, secret="x" * 43).encode()


def fat16(size: int, *, label: bytes = b"VEDETTE", entries: int = 512, spc: int = 1) -> bytearray:
    """An empty file system with a volume label."""
    sectors = size // SECTOR
    root = entries * 32 // SECTOR
    fat = -(-(sectors // spc + 2) * 2 // SECTOR)
    made = bytearray(size)
    made[0:3] = b"\xeb\x3c\x90"
    made[3:11] = b"MSWIN4.1"
    small = sectors if sectors < 65536 else 0
    struct.pack_into("<HBHBHHBHHHII", made, 11, SECTOR, spc, 4, 2, entries, small, 0xF8, fat, 32, 64, 0, sectors)
    made[54:62] = b"FAT16   "
    made[510:512] = b"\x55\xaa"
    for number in range(2):
        struct.pack_into("<HH", made, (4 + number * fat) * SECTOR, 0xFFF8, 0xFFFF)
    at = (4 + 2 * fat) * SECTOR
    made[at : at + 32] = label.ljust(11) + b"\x08" + bytes(20)
    assert root * SECTOR == entries * 32
    return made


def gpt(areas: list[tuple[str, bytes]]) -> bytes:
    """A disk with these partitions, one mebibyte in front."""
    body, rows, at = bytearray(), bytearray(), MIB // SECTOR
    for number, (label, content) in enumerate(areas):
        assert len(content) % SECTOR == 0
        end = at + len(content) // SECTOR - 1
        kind, own = bytes([7]) * 16, bytes([number + 1]) * 16
        rows += kind + own + struct.pack("<QQQ", at, end, 0) + label.encode("utf-16-le").ljust(72, b"\0")
        body += content
        at = end + 1
    table = bytes(rows.ljust(128 * 128, b"\0"))
    last = at + 32

    def header(own: int, other: int, table_at: int) -> bytes:
        def fields(crc: int) -> bytes:
            return struct.pack(
                "<8sIIIIQQQQ16sQIII",
                *(b"EFI PART", 0x10000, 92, crc, 0, own, other, 34, at - 1, b"d" * 16, table_at, 128, 128),
                zlib.crc32(table),
            )

        return fields(zlib.crc32(fields(0))).ljust(SECTOR, b"\0")

    front = bytes(510) + b"\x55\xaa" + header(1, last, 2) + table
    return front.ljust(MIB, b"\0") + bytes(body) + table + header(last, 1, at)


def image(*, root: bytes = b"root of the box ".ljust(SECTOR, b"r") * 16384) -> bytes:
    """A stick: an ESP, a root, 4 MiB for settings."""
    return gpt([("ESP", b"e" * MIB), ("vedette_1.0", root), ("VEDETTE", bytes(fat16(4 * MIB)))])


def machine(
    root: Path,
    name: str,
    size: int,
    *,
    number: str = "8:16",
    removable: bool = True,
    model: str = "Sample Stick",
    partitions: tuple[tuple[str, int, str], ...] = (),
    mountinfo: str = "",
    swaps: str = "Filename Type Size Used Priority\n",
    bus: str = "pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0",
) -> Path:
    """/sys, /proc and udev's folder of a computer with this disk; `partitions` are (name, size, device number)."""
    disk = root / "sys/devices" / bus / "block" / name
    (disk / "device").mkdir(parents=True)
    (disk / "holders").mkdir()
    (disk / "queue").mkdir()
    files = {
        "dev": number,
        "size": str(size // SECTOR),
        "removable": str(int(removable)),
        "ro": "0",
        "device/model": model,
        "queue/logical_block_size": str(SECTOR),
    }
    for part, part_size, part_number in partitions:
        (disk / part / "holders").mkdir(parents=True)
        files |= {f"{part}/partition": "1", f"{part}/size": str(part_size // SECTOR), f"{part}/dev": part_number}
    for path, text in files.items():
        (disk / path).write_text(text + "\n", encoding="ascii")
    (root / "sys/block").mkdir(parents=True, exist_ok=True)
    (root / "sys/block" / name).symlink_to(disk)
    (root / "proc/self").mkdir(parents=True, exist_ok=True)
    (root / "proc/self/mountinfo").write_text(mountinfo, encoding="ascii")
    (root / "proc/swaps").write_text(swaps, encoding="ascii")
    (root / "udev").mkdir(exist_ok=True)
    return disk
