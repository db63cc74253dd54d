"""macOS: what `diskutil` says of disks, and how one is let go of.

Rules of this file: parsers are pure, fed what the program printed. `diskutil list -plist` names the disks and their
parts, `diskutil info -plist` says what each is. Written is the raw device (/dev/rdiskN): it has no cache in between.
"""

from __future__ import annotations

import plistlib
import subprocess
from typing import Any
from xml.parsers.expat import ExpatError

from image.flash.disk import SECTOR_BYTES, Disk, Partition
from image.flash.errors import HostError

_TIMEOUT_S = 60


class MacOs:
    """This Mac."""

    def disks(self) -> list[Disk]:
        """The physical disks.

        Raises:
            HostError: diskutil did not say.
        """
        listed = parse_plist(_diskutil("list", "-plist", "physical"))
        names = [str(name) for name in listed.get("WholeDisks", [])]
        return [
            disk_of(entry, parse_plist(_diskutil("info", "-plist", name)))
            for name in names
            for entry in listed.get("AllDisksAndPartitions", [])
            if entry.get("DeviceIdentifier") == name
        ]

    def release(self, disk: Disk) -> None:
        """Unmount everything of it.

        Raises:
            HostError: something keeps it in use.
        """
        _diskutil("unmountDisk", disk.path)

    def raw_path(self, disk: Disk) -> str:
        """What is opened for writing."""
        return disk.path.replace("/dev/disk", "/dev/rdisk")

    def settle(self, disk: Disk) -> None:
        """Eject it: macOS would otherwise ask what to do with partitions that it does not know.

        Raises:
            HostError: it could not be.
        """
        _diskutil("eject", disk.path)


def parse_plist(data: bytes) -> dict[str, Any]:
    """A property list that is a dictionary.

    Raises:
        HostError: it is none.
    """
    try:
        found = plistlib.loads(data)
    except (ValueError, ExpatError, plistlib.InvalidFileException) as error:
        raise HostError(f"diskutil printed no property list: {error}") from error
    if not isinstance(found, dict):
        raise HostError(f"diskutil printed a {type(found).__name__}, a dictionary was allowed")
    return found


def disk_of(entry: dict[str, Any], info: dict[str, Any]) -> Disk:
    """A disk by its entry in the list and its own information."""
    name = str(entry.get("DeviceIdentifier", ""))
    parts = [
        Partition(
            name=str(part.get("DeviceIdentifier", "")),
            size_bytes=int(part.get("Size", 0)),
            label=str(part.get("VolumeName", "")),
            filesystem=str(part.get("Content", "")),
            mounts=(str(part["MountPoint"]),) if part.get("MountPoint") else (),
            # An APFS container's volumes are on a disk of their own that is made of this partition.
            holders=("an APFS container",) if part.get("Content") == "Apple_APFS" else (),
        )
        for part in entry.get("Partitions", [])
    ]
    removable = bool(info.get("RemovableMediaOrExternalDevice")) and not bool(info.get("Internal", True))
    # A built-in card reader is internal; its card is not.
    card = bool(info.get("RemovableMedia")) and info.get("BusProtocol") == "Secure Digital"
    return Disk(
        name=name,
        path=f"/dev/{name}",
        size_bytes=int(info.get("Size", entry.get("Size", 0))),
        removable=removable or card,
        transport=str(info.get("BusProtocol", "")).lower(),
        model=str(info.get("MediaName", "")),
        read_only=not bool(info.get("WritableMedia", True)),
        system=bool(info.get("SystemImage", False)),
        sector_bytes=int(info.get("DeviceBlockSize", SECTOR_BYTES)),
        mounts=(str(entry["MountPoint"]),) if entry.get("MountPoint") else (),
        partitions=tuple(parts),
        identity=f"{name} {info.get('MediaName')} {info.get('Size')} {info.get('IORegistryEntryName')}",
    )


def _diskutil(*words: str) -> bytes:
    try:
        ended = subprocess.run(["diskutil", *words], capture_output=True, check=False, timeout=_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostError(f"diskutil: {error}") from error
    if ended.returncode != 0:
        said = (ended.stderr or ended.stdout).decode(errors="replace").strip()
        raise HostError(f"diskutil {' '.join(words)}: {said}", advice="close what uses the stick and type it again")
    return ended.stdout
