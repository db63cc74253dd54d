"""Windows: what PowerShell says of disks, and how one is let go of.

Rules of this file: parsers are pure, fed what the program printed. Windows lets nobody write where it has a volume
mounted, so the old partitions are removed by `Clear-Disk`, which is also what makes their drive letters go. Only the
number of a disk, which is one, gets into a command.
"""

from __future__ import annotations

import json
import subprocess
from typing import Any

from image.flash.disk import SECTOR_BYTES, Disk, Partition
from image.flash.errors import HostError

_TIMEOUT_S = 120
_LIST = (
    "$ErrorActionPreference='Stop'; [Console]::OutputEncoding=[Text.Encoding]::UTF8; "
    "@(Get-Disk | ForEach-Object { $d=$_; [pscustomobject]@{ Number=$d.Number; Name=$d.FriendlyName; Size=$d.Size; "
    "Bus=[string]$d.BusType; System=$d.IsSystem; Boot=$d.IsBoot; ReadOnly=$d.IsReadOnly; Sector=$d.LogicalSectorSize; "
    "Id=$d.UniqueId; Parts=@(Get-Partition -DiskNumber $d.Number -ErrorAction SilentlyContinue | ForEach-Object { "
    "$v=Get-Volume -Partition $_ -ErrorAction SilentlyContinue; [pscustomobject]@{ Number=$_.PartitionNumber; "
    "Size=$_.Size; Letter=[string]$_.DriveLetter; Label=$v.FileSystemLabel; FileSystem=$v.FileSystem } }) } })"
    " | ConvertTo-Json -Depth 4 -Compress"
)
_REMOVABLE = {"usb": "usb", "sd": "sd", "mmc": "mmc"}


class Windows:
    """This computer."""

    def disks(self) -> list[Disk]:
        """All disks.

        Raises:
            HostError: PowerShell did not say.
        """
        return parse_disks(_powershell(_LIST))

    def release(self, disk: Disk) -> None:
        """Remove its partitions, and with them their drive letters.

        Raises:
            HostError: it could not be done.
        """
        if disk.partitions:
            number = int(disk.name)
            _powershell(f"Clear-Disk -Number {number} -RemoveData -RemoveOEM -Confirm:$false")

    def raw_path(self, disk: Disk) -> str:
        """What is opened for writing."""
        return disk.path

    def settle(self, disk: Disk) -> None:
        """Let Windows look at it anew.

        Raises:
            HostError: it did not.
        """
        _powershell(f"Update-Disk -Number {int(disk.name)}")


def parse_disks(text: str) -> list[Disk]:
    """What `Get-Disk` and its neighbours told; one disk is an object, several are a list (ConvertTo-Json).

    Raises:
        HostError: it is not that.
    """
    try:
        found: Any = json.loads(text) if text.strip() else []
        entries = found if isinstance(found, list) else [found]
        return [_disk(entry) for entry in entries]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise HostError(f"PowerShell printed no list of disks: {type(error).__name__} {error}") from error


def _disk(entry: dict[str, Any]) -> Disk:
    number = int(entry["Number"])
    bus = str(entry.get("Bus") or "").lower()
    parts = entry.get("Parts") or []
    return Disk(
        name=str(number),
        path=rf"\\.\PhysicalDrive{number}",
        size_bytes=int(entry.get("Size") or 0),
        removable=bus in ("usb", "sd"),
        transport=_REMOVABLE.get(bus, bus),
        model=str(entry.get("Name") or "").strip(),
        read_only=bool(entry.get("ReadOnly")),
        system=bool(entry.get("System")) or bool(entry.get("Boot")),
        sector_bytes=int(entry.get("Sector") or SECTOR_BYTES),
        partitions=tuple(_partition(part) for part in (parts if isinstance(parts, list) else [parts])),
        identity=f"{number} {entry.get('Id')} {entry.get('Size')}",
    )


def _partition(part: dict[str, Any]) -> Partition:
    letter = str(part.get("Letter") or "").strip("\0 ")
    return Partition(
        name=f"part {part.get('Number')}",
        size_bytes=int(part.get("Size") or 0),
        label=str(part.get("Label") or ""),
        filesystem=str(part.get("FileSystem") or ""),
        mounts=(f"{letter}:",) if letter else (),
    )


def _powershell(command: str) -> str:
    words = ["powershell.exe", "-NoProfile", "-NonInteractive", "-Command", command]
    try:
        ended = subprocess.run(
            words, capture_output=True, text=True, encoding="utf-8", errors="replace", check=False, timeout=_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostError(f"powershell.exe: {error}") from error
    if ended.returncode != 0:
        raise HostError(
            f"PowerShell: {ended.stderr.strip()[:500]}", advice="run the terminal as administrator and type it again"
        )
    return ended.stdout
