"""Which disks are offered, on each system, from what it prints; and every reason to refuse one."""

from __future__ import annotations

import json
import plistlib
from dataclasses import replace
from pathlib import Path

import pytest

from image.flash.disk import GIB, Disk, Partition, refusals, shown_size
from image.flash.errors import HostError
from image.flash.linux import Linux, parse_mountinfo, parse_swaps
from image.flash.macos import disk_of, parse_plist
from image.flash.windows import parse_disks
from tests.image.flash.sticks import MIB, machine

STICK = Disk(name="sdb", path="/dev/sdb", size_bytes=16 * 10**9, removable=True, transport="usb", model="Sample")


@pytest.mark.parametrize(
    ("disk", "says"),
    [
        (replace(STICK, removable=False, transport="nvme"), "not removable (nvme)"),
        (replace(STICK, system=True), "this computer's system is on it"),
        (replace(STICK, mounts=("/",)), "in use at /"),
        (replace(STICK, partitions=(Partition("sdb1", 1, mounts=("/home",)),)), "in use at /home"),
        (replace(STICK, partitions=(Partition("sdb2", 1, mounts=("[swap]",)),)), "in use at [swap]"),
        (replace(STICK, mounts=("/run/live/medium",)), "in use at /run/live/medium"),
        (replace(STICK, mounts=("/mediaserver",)), "in use at /mediaserver"),
        (replace(STICK, partitions=(Partition("sdb1", 1, holders=("dm-0",)),)), "in use by dm-0"),
        (replace(STICK, size_bytes=0), "no medium in it"),
        (replace(STICK, read_only=True), "write-protected"),
        (replace(STICK, sector_bytes=4096), "sectors of 4096 bytes came"),
        (replace(STICK, size_bytes=512 * MIB), "at least 1073741824 were allowed"),
        (replace(STICK, size_bytes=300 * GIB), "without --large"),
    ],
)
def test_a_disk_that_may_not_be_overwritten_is_refused_with_the_reason(disk: Disk, says: str) -> None:
    assert [reason for reason in refusals(disk, image_bytes=GIB) if says in reason]


def test_a_stick_is_taken_even_when_the_desktop_has_mounted_it() -> None:
    mounted = replace(STICK, partitions=(Partition("sdb1", 1, mounts=("/run/media/me/HOLIDAY", "/media/x", "E:")),))
    assert refusals(mounted, image_bytes=GIB) == []
    assert refusals(replace(STICK, size_bytes=300 * GIB), large=True) == []


def _linux(root: Path) -> Linux:
    return Linux(root / "sys", root / "proc", root / "udev", root / "dev")


def _only(root: Path) -> Disk:
    (found,) = _linux(root).disks()
    return found


def test_linux_a_usb_stick_with_what_is_on_it(tmp_path: Path) -> None:
    mounts = (
        "36 29 8:17 / /media/me/MY\\040PICTURES rw,nosuid - vfat /dev/sdb1 rw\n29 1 0:25 / / rw - btrfs /dev/sda2 rw\n"
    )
    parts = (("sdb1", 8 * MIB, "8:17"),)
    machine(tmp_path, "sdb", 16 * MIB, removable=False, mountinfo=mounts, partitions=parts)
    (tmp_path / "udev/b8:17").write_text("S:x\nE:ID_FS_LABEL=MY_PICTURES\nE:ID_FS_TYPE=vfat\n", encoding="ascii")
    stick = _only(tmp_path)
    assert (stick.removable, stick.transport, stick.model) == (True, "usb", "Sample Stick")
    assert stick.partitions == (Partition("sdb1", 8 * MIB, "MY_PICTURES", "vfat", mounts=("/media/me/MY PICTURES",)),)
    assert refusals(stick) == []


@pytest.mark.parametrize(
    ("mounts", "swaps"),
    [
        ("29 1 8:17 / / rw - ext4 /dev/sdb1 rw\n", ""),
        ("29 1 0:25 /@ / rw shared:1 - btrfs /dev/sdb1 rw\n", ""),
        ("29 1 8:17 / /boot/efi rw - vfat /dev/sdb1 rw\n", ""),
        ("", "Filename Type Size Used Priority\n/dev/sdb1 partition 100 0 -2\n"),
    ],
)
def test_linux_a_stick_that_the_system_runs_from_is_refused(tmp_path: Path, mounts: str, swaps: str) -> None:
    parts = (("sdb1", 8 * MIB, "8:17"),)
    machine(tmp_path, "sdb", 16 * MIB, mountinfo=mounts, swaps=swaps, partitions=parts)
    assert any("in use at" in reason for reason in refusals(_only(tmp_path)))


def test_linux_a_stick_with_an_opened_volume_is_refused(tmp_path: Path) -> None:
    disk = machine(tmp_path, "sdb", 16 * MIB, partitions=(("sdb1", 8 * MIB, "8:17"),))
    (disk / "sdb1/holders/dm-3").touch()
    assert any("in use by dm-3" in reason for reason in refusals(_only(tmp_path)))


@pytest.mark.parametrize(
    ("name", "bus", "kind", "removable"),
    [
        ("nvme0n1", "pci0000:00/0000:01:00.0/nvme/nvme0", "", False),
        ("sda", "pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0", "", False),
        ("mmcblk0", "pci0000:00/0000:00:1a.0/mmc_host/mmc0/mmc0:0001", "MMC", False),
        ("mmcblk1", "pci0000:00/0000:00:1b.0/mmc_host/mmc1/mmc1:aaaa", "SD", True),
        ("sdc", "pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/host7/target7:0:0/7:0:0:0", "", True),
    ],
)
def test_linux_knows_built_in_from_removable(tmp_path: Path, name: str, bus: str, kind: str, removable: bool) -> None:
    disk = machine(tmp_path, name, 16 * MIB, removable=False, bus=bus)
    (disk / "device/type").write_text(kind, encoding="ascii")
    assert _only(tmp_path).removable is removable


def test_linux_loop_and_mapped_devices_are_no_disks(tmp_path: Path) -> None:
    for name in ("loop0", "dm-0", "zram0", "sr0", "md127"):
        machine(tmp_path, name, 16 * MIB, bus=f"virtual/{name}")
    assert _linux(tmp_path).disks() == []


def test_linux_lines_that_are_none_are_passed_over() -> None:
    assert list(parse_mountinfo("\nrubbish\n1 2 3\n - \n")) == []
    assert parse_swaps("") == []


def _mac(**changed: object) -> Disk:
    listed = {
        "DeviceIdentifier": "disk4",
        "Size": 15_728_640_000,
        "Content": "FDisk_partition_scheme",
        "Partitions": [
            {
                "DeviceIdentifier": "disk4s1",
                "Size": 15_727_591_424,
                "Content": "Windows_FAT_32",
                "VolumeName": "HOLIDAY",
                "MountPoint": "/Volumes/HOLIDAY",
            },
        ],
    }
    info = {
        "DeviceIdentifier": "disk4",
        "Size": 15_728_640_000,
        "Internal": False,
        "RemovableMedia": True,
        "RemovableMediaOrExternalDevice": True,
        "BusProtocol": "USB",
        "MediaName": "Sample Stick Media",
        "WritableMedia": True,
        "DeviceBlockSize": 512,
    }
    return disk_of(listed, parse_plist(plistlib.dumps(info | changed)))


def test_macos_a_usb_stick_with_what_is_on_it() -> None:
    stick = _mac()
    assert (stick.path, stick.transport, stick.model) == ("/dev/disk4", "usb", "Sample Stick Media")
    assert stick.partitions[0].label == "HOLIDAY"
    assert refusals(stick) == []


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"Internal": True, "BusProtocol": "PCI-Express"}, "not removable"),
        ({"RemovableMediaOrExternalDevice": False}, "not removable"),
        ({"WritableMedia": False}, "write-protected"),
        ({"DeviceBlockSize": 4096}, "sectors of 4096"),
    ],
)
def test_macos_other_disks_are_refused(changed: dict[str, object], says: str) -> None:
    changed.setdefault("RemovableMedia", False)
    assert any(says in reason for reason in refusals(_mac(**changed)))


def test_macos_a_card_in_a_built_in_reader_is_removable() -> None:
    assert _mac(Internal=True, BusProtocol="Secure Digital").removable


@pytest.mark.parametrize("data", [b"", b"rubbish", b"<plist><array/></plist>", b"<plist>", plistlib.dumps(["a"])])
def test_macos_what_is_no_list_has_one_name(data: bytes) -> None:
    with pytest.raises(HostError):
        parse_plist(data)


WINDOWS_STICK = {
    "Number": 2,
    "Name": "Sample Stick USB Device",
    "Size": 15_728_640_000,
    "Bus": "USB",
    "System": False,
    "Boot": False,
    "ReadOnly": False,
    "Sector": 512,
    "Id": "USBSTOR\\DISK&VEN_SAMPLE:1234",
    "Parts": [{"Number": 1, "Size": 15_727_591_424, "Letter": "E", "Label": "HOLIDAY", "FileSystem": "FAT32"}],
}
WINDOWS_SYSTEM = {
    **WINDOWS_STICK,
    "Number": 0,
    "Bus": "NVMe",
    "System": True,
    "Boot": True,
    "Parts": [{"Number": 1, "Size": 104_857_600, "Letter": "\0", "Label": None, "FileSystem": None}],
}


def test_windows_a_usb_stick_and_the_system_disk() -> None:
    system, stick = parse_disks(json.dumps([WINDOWS_SYSTEM, WINDOWS_STICK]))
    assert (stick.path, stick.all_mounts) == (r"\\.\PhysicalDrive2", ("E:",))
    assert refusals(stick) == []
    assert len(refusals(system)) == 2
    assert system.partitions[0].mounts == ()


def test_windows_one_disk_alone_is_no_list() -> None:
    assert len(parse_disks(json.dumps(WINDOWS_STICK))) == 1
    assert parse_disks(" \n") == []


def test_windows_to_go_from_a_stick_is_refused() -> None:
    (stick,) = parse_disks(json.dumps({**WINDOWS_STICK, "Boot": True}))
    assert any("system" in reason for reason in refusals(stick))


@pytest.mark.parametrize("text", ["{", "[1]", '{"Number": null}', '{"a": 1}', '[{"Number": 1, "Parts": [2]}]', '"x"'])
def test_windows_what_is_no_list_has_one_name(text: str) -> None:
    with pytest.raises(HostError):
        parse_disks(text)


@pytest.mark.parametrize(("size", "text"), [(0, "0 bytes"), (999, "999 bytes"), (16 * 10**9, "16.0 GB")])
def test_sizes_are_those_printed_on_sticks(size: int, text: str) -> None:
    assert shown_size(size) == text
