"""What a disk would start, looked at while no machine writes to it: firmware's, boot loader's and kernel's checks.

Rules of this file: it answers for one moment of one disk and changes nothing. The boot loader's choice is that of
systemd-boot (boot counting: the newest with tries left; when there is none, the recovery system); Secure Boot's,
dm-verity's and the partition table's checks are done by other programs than the box's own: sbverify, veritysetup,
sfdisk.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.wire.bundle import version_key
from image.errors import DrillError, StepError
from image.keys import Keys
from image.layout import MIB, Slot
from image.tools import Tools

_ENTRY = re.compile(r"vedette_(?P<version>[0-9.\-]+?)(?:\+(?P<left>\d+)(?:-\d+)?)?\.efi")
_ROOT_HASH = re.compile(rb"roothash=([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Standstill:
    """A disk that nobody writes to, and a folder for what is taken out of it."""

    tools: Tools
    keys: Keys
    disk: Path
    work: Path

    def starts(self) -> str:
        """The version that would be started; all of what it needs is whole.

        Raises:
            DrillError: nothing would, or not all of it is whole.
        """
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        try:
            return self._starts()
        except StepError as error:
            raise DrillError(f"{self.disk}: {error}") from error
        finally:
            shutil.rmtree(self.work)

    def _starts(self) -> str:
        told = json.loads(self.tools.run("sfdisk", "--json", self.disk))["partitiontable"]
        sector = int(told.get("sectorsize", 512))
        parts = {str(p["uuid"]).lower(): (p["start"] * sector, p["size"] * sector) for p in told["partitions"]}
        esp = f"{self.disk}@@{told['partitions'][0]['start'] * sector}"
        names = self.tools.run("mdir", "-b", "-i", esp, "::/EFI/Linux").split()
        version, name = chosen(names)
        kernel, line = self.work / "kernel.efi", self.work / "cmdline"
        self.tools.run("mcopy", "-i", esp, name, kernel)
        self.tools.run("sbverify", "--cert", self.keys.certificate("db"), kernel)
        self.tools.run("objcopy", f"--dump-section=.cmdline={line}", kernel, self.work / "copy.efi")
        root_hash = _ROOT_HASH.search(line.read_bytes())
        if root_hash is None:
            raise DrillError(f"{name}: no root hash in it")
        slot = Slot(version, root_hash[1].decode("ascii"))
        files = {}
        for kind, uuid in (("root", slot.root_uuid), ("verity", slot.verity_uuid)):
            if str(uuid) not in parts:
                raise DrillError(f"{name} would start, and no partition is its {kind}")
            files[kind] = self._take_out(kind, *parts[str(uuid)])
        self.tools.run("veritysetup", "verify", files["root"], files["verity"], slot.root_hash)
        return slot.version

    def _take_out(self, name: str, begin: int, size: int) -> Path:
        target = self.work / name
        with self.disk.open("rb") as source, target.open("wb") as file:
            source.seek(begin)
            while size > 0 and (piece := source.read(min(size, MIB))):
                file.write(piece)
                size -= len(piece)
        return target


def chosen(names: Sequence[str]) -> tuple[str, str]:
    """The version that systemd-boot starts, and the kernel file's path, of those on the ESP.

    Raises:
        DrillError: there is none, or none has tries left: the boot loader starts the recovery system then.
    """
    entries = [(match, name) for name in names if (match := _ENTRY.fullmatch(name.rpartition("/")[2]))]
    if not entries:
        raise DrillError(f"the boot loader finds nothing in {list(names)}")
    tries = [entry for entry in entries if entry[0]["left"] is None or int(entry[0]["left"]) > 0]
    if not tries:
        raise DrillError(f"no tries are left in {list(names)}: the boot loader starts the recovery system")
    found, name = max(tries, key=lambda entry: version_key(entry[0]["version"]))
    return found["version"], name
