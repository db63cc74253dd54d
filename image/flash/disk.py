"""A disk as a person and the rules see it, and the reasons not to overwrite it.

Rules of this file: pure. What a platform tells of its disks becomes a `Disk`; whether it may be overwritten is decided
here alone, the same way on each of them. What is not known to be removable is not. A disk that has anything mounted
outside of where systems put removable media is in use, whatever it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

MIB = 1024 * 1024
GIB = 1024 * MIB
# A stick for this is 2 to 128 GB; what is larger is more likely somebody's backup.
LARGE_BYTES = 256 * GIB
SECTOR_BYTES = 512

REMOVABLE_PLACES = ("/media", "/run/media", "/mnt", "/Volumes")
"""Where systems and people mount what can be pulled out."""


@dataclass(frozen=True)
class Partition:
    """What would be lost; empty texts are not known."""

    name: str
    size_bytes: int
    label: str = ""
    filesystem: str = ""
    mounts: tuple[str, ...] = ()
    holders: tuple[str, ...] = ()
    """Other devices made of it (LVM, RAID, an opened LUKS)."""


@dataclass(frozen=True)
class Disk:
    """One whole disk. `identity` tells it from another that got the same name."""

    name: str
    path: str
    size_bytes: int
    removable: bool
    transport: str = ""
    model: str = ""
    read_only: bool = False
    system: bool = False
    """The platform itself says that it starts from it or needs it."""
    sector_bytes: int = SECTOR_BYTES
    mounts: tuple[str, ...] = ()
    holders: tuple[str, ...] = ()
    partitions: tuple[Partition, ...] = ()
    identity: str = ""

    @property
    def all_mounts(self) -> tuple[str, ...]:
        """Of the disk and of its partitions."""
        return self.mounts + tuple(mount for part in self.partitions for mount in part.mounts)

    @property
    def all_holders(self) -> tuple[str, ...]:
        """Of the disk and of its partitions."""
        return self.holders + tuple(holder for part in self.partitions for holder in part.holders)


def refusals(disk: Disk, *, image_bytes: int = 0, large: bool = False) -> list[str]:
    """Why this disk is not overwritten, each in a sentence; none: it may be."""
    found = []
    if not disk.removable:
        found.append(f"not removable ({disk.transport or 'built in'}); USB sticks and memory cards are allowed")
    if disk.system:
        found.append("this computer's system is on it")
    if busy := sorted(mount for mount in disk.all_mounts if not may_unmount(mount)):
        found.append(f"in use at {', '.join(busy)}; nothing, or only below {', '.join(REMOVABLE_PLACES)}, was allowed")
    if disk.all_holders:
        found.append(f"in use by {', '.join(sorted(disk.all_holders))}; close that first")
    if disk.size_bytes == 0:
        found.append("no medium in it")
        return found
    if disk.read_only:
        found.append("write-protected; is there a switch on it?")
    if disk.sector_bytes != SECTOR_BYTES:
        found.append(f"sectors of {disk.sector_bytes} bytes came, {SECTOR_BYTES} were allowed")
    if disk.size_bytes < image_bytes:
        found.append(f"{disk.size_bytes} bytes came, at least {image_bytes} were allowed")
    if disk.size_bytes > LARGE_BYTES and not large:
        found.append(f"{shown_size(disk.size_bytes)} came, {shown_size(LARGE_BYTES)} were allowed without --large")
    return found


def may_unmount(mount: str) -> bool:
    """Whether this is a place of removable media (a Windows drive letter is: the system's own is told apart there)."""
    if len(mount) in (2, 3) and mount[1] == ":" and mount[0].isalpha():
        return True
    return any(mount == place or mount.startswith(place + "/") for place in REMOVABLE_PLACES)


def shown_size(size_bytes: int) -> str:
    """A size as it is printed on sticks: powers of ten."""
    for unit, factor in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.1f} {unit}"
    return f"{size_bytes} bytes"


def described(disk: Disk) -> list[str]:
    """The disk in a line, and a line for each thing on it that would be lost."""
    head = f"{disk.path}  {shown_size(disk.size_bytes)}  {disk.transport or '?'}  {disk.model or 'no name'}"
    return [head + _where(disk.mounts), *(_line(part) for part in disk.partitions)]


def as_json(disk: Disk, reasons: Iterable[str]) -> dict[str, object]:
    """For programs."""
    return {
        "name": disk.name,
        "path": disk.path,
        "size_bytes": disk.size_bytes,
        "removable": disk.removable,
        "transport": disk.transport,
        "model": disk.model,
        "mounts": list(disk.all_mounts),
        "partitions": [
            {"name": part.name, "size_bytes": part.size_bytes, "label": part.label, "filesystem": part.filesystem}
            for part in disk.partitions
        ],
        "refused": list(reasons),
    }


def _line(part: Partition) -> str:
    what = " ".join(word for word in (part.filesystem, f'"{part.label}"' if part.label else "") if word)
    return f"    {part.name:<10} {shown_size(part.size_bytes):>10}  {what}".rstrip() + _where(part.mounts)


def _where(mounts: tuple[str, ...]) -> str:
    return f"  at {', '.join(mounts)}" if mounts else ""
