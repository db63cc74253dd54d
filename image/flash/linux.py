"""Linux: what /sys, /proc and udev say of disks, and how one is let go of.

Rules of this file: files are read, nothing is opened or asked. The roots are arguments; a tree of files is a machine.
Removable is what the kernel calls so, what hangs on USB, and SD cards (not eMMC, which is soldered in).
Sources: Documentation/ABI/stable/sysfs-block, proc(5) mountinfo and swaps.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from image.flash.disk import SECTOR_BYTES, Disk, Partition
from image.flash.errors import HostError

_OCTAL = re.compile(r"\\([0-7]{3})")
_VIRTUAL = ("loop", "ram", "zram", "dm-", "md", "sr", "fd", "nbd")
# The kernel counts in these whatever the disk's sectors are.
_SYSFS_SECTOR_BYTES = 512


@dataclass(frozen=True)
class Linux:
    """One machine by its pseudo file systems; `virtual` also lists loop devices and the like."""

    sys: Path = Path("/sys")
    proc: Path = Path("/proc")
    udev: Path = Path("/run/udev/data")
    dev: Path = Path("/dev")
    virtual: bool = False

    def disks(self) -> list[Disk]:
        """All disks, removable or not.

        Raises:
            HostError: /sys cannot be read.
        """
        try:
            folders = sorted((self.sys / "block").iterdir())
        except OSError as error:
            raise HostError(f"{error.filename}: {error.strerror}", advice="is /sys mounted?") from error
        used = self._used()
        return [self._disk(folder, used) for folder in folders if self.virtual or not folder.name.startswith(_VIRTUAL)]

    def release(self, disk: Disk) -> None:
        """Unmount what is mounted of it.

        Raises:
            HostError: something keeps it in use.
        """
        for mount in sorted(disk.all_mounts, reverse=True):
            ended = subprocess.run(["umount", mount], capture_output=True, text=True, check=False)
            if ended.returncode != 0:
                raise HostError(
                    f"{mount}: {ended.stderr.strip() or 'cannot be unmounted'}", advice="close what uses the stick"
                )

    def raw_path(self, disk: Disk) -> str:
        """What is opened for writing."""
        return disk.path

    def settle(self, disk: Disk) -> None:
        """Nothing: udev looks at the disk anew once it is closed."""

    def _used(self) -> dict[str, list[str]]:
        """Device number or path -> where it is mounted, and `[swap]`."""
        used: dict[str, list[str]] = {}
        for number, source, mount in parse_mountinfo(_text(self.proc / "self" / "mountinfo")):
            used.setdefault(number, []).append(mount)
            # btrfs and others show a number that no disk has; then the path tells.
            if source.startswith("/dev/") and number.startswith("0:"):
                used.setdefault(source, []).append(mount)
        for source in parse_swaps(_text(self.proc / "swaps")):
            used.setdefault(source, []).append("[swap]")
        return used

    def _disk(self, folder: Path, used: dict[str, list[str]]) -> Disk:
        where = str(folder.resolve())
        kind = _text(folder / "device" / "type").strip()
        card = "/mmc_host/" in where and kind == "SD"
        usb = re.search(r"/usb\d+/", where) is not None
        size = _number(folder / "size") * _SYSFS_SECTOR_BYTES
        model = " ".join(f"{_text(folder / 'device/vendor')} {_text(folder / 'device/model')}".split())
        if not model:
            model = _text(folder / "device" / "name").strip()
        number = _text(folder / "dev").strip()
        parts = [self._partition(part, used) for part in sorted(folder.iterdir()) if (part / "partition").exists()]
        return Disk(
            name=folder.name,
            path=str(self.dev / folder.name),
            size_bytes=size,
            removable=usb or card or _number(folder / "removable") == 1,
            transport="usb" if usb else "sd" if card else "mmc" if "/mmc_host/" in where else _transport(folder.name),
            model=model,
            read_only=_number(folder / "ro") == 1,
            sector_bytes=_number(folder / "queue" / "logical_block_size") or SECTOR_BYTES,
            mounts=self._mounts(folder, used),
            holders=_names(folder / "holders"),
            partitions=tuple(parts),
            identity=f"{number} {where} {size} {model}",
        )

    def _partition(self, folder: Path, used: dict[str, list[str]]) -> Partition:
        told = dict(parse_udev(_text(self.udev / f"b{_text(folder / 'dev').strip()}")))
        return Partition(
            name=folder.name,
            size_bytes=_number(folder / "size") * _SYSFS_SECTOR_BYTES,
            label=told.get("ID_FS_LABEL", "") or told.get("ID_PART_ENTRY_NAME", ""),
            filesystem=told.get("ID_FS_TYPE", ""),
            mounts=self._mounts(folder, used),
            holders=_names(folder / "holders"),
        )

    def _mounts(self, folder: Path, used: dict[str, list[str]]) -> tuple[str, ...]:
        keys = (_text(folder / "dev").strip(), f"/dev/{folder.name}")
        return tuple(dict.fromkeys(mount for key in keys for mount in used.get(key, [])))


def parse_mountinfo(text: str) -> Iterator[tuple[str, str, str]]:
    """(device number, source, mount point) of each line that has them."""
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, rest = before.split(" "), after.split(" ")
        if len(fields) >= 6 and len(rest) >= 2:
            yield fields[2], _unescaped(rest[1]), _unescaped(fields[4])


def parse_swaps(text: str) -> list[str]:
    """What is swapped to."""
    return [_unescaped(line.split()[0]) for line in text.splitlines()[1:] if line.split()]


def parse_udev(text: str) -> Iterator[tuple[str, str]]:
    """The properties in a file of udev's database."""
    for line in text.splitlines():
        if line.startswith("E:"):
            name, _, value = line[2:].partition("=")
            yield name, value


def _unescaped(text: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)


def _transport(name: str) -> str:
    return "nvme" if name.startswith("nvme") else "virtio" if name.startswith("vd") else "disk"


def _names(folder: Path) -> tuple[str, ...]:
    try:
        return tuple(sorted(entry.name for entry in folder.iterdir()))
    except OSError:
        return ()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _number(path: Path) -> int:
    text = _text(path).strip()
    return int(text) if text.isdigit() else 0
