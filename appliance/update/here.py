"""This box: what the running image says of itself, which disk it was started from, what is noted of its start.

Rules of this file: reading only, from files of the running system, all below one root folder so that tests can lay
them out. What makes `Box` and `Seen` from a real machine is here and nowhere else.
"""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

from appliance.errors import OperatorError
from appliance.update.disk import Disk
from appliance.update.errors import DiskFault
from appliance.update.esp import Esp
from appliance.update.install import Box
from appliance.update.judge import Seen
from appliance.update.memory import Memory
from appliance.update.record import Record
from appliance.update.trust import Standing, UpdateKeys
from appliance.wire.bundle import IMAGE_ID, is_version
from appliance.wire.fields import plain

RECORD_FOLDER = Path("/var/lib/vedette-update")
KEYS_FOLDER = Path("/usr/lib/vedette/update-keys")
OS_RELEASE = Path("/usr/lib/os-release")
FLOOR_FIELD = "VEDETTE_SECURITY_FLOOR"
_LOADER = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
"""Vendor of the variables that the boot loader hands on (Boot Loader Interface)."""
LIVE_ENTRY = "live.conf"
"""The boot loader's name of the entry that a live sensor's stick is started by."""
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
NOTED = Path("/run/vedette-start/box")
"""Why this start came about, KIND and words, as image/overlay/usr/lib/vedette/start_reason has noted it."""
_ROOT_HASH = re.compile(r"roothash=([0-9a-f]{64})")


def image_version(root: Path = Path("/")) -> str:
    """The running image's version; empty where no image of ours runs."""
    fields = _os_release(root)
    version = fields.get("IMAGE_VERSION", "")
    return version if fields.get("IMAGE_ID") == IMAGE_ID and is_version(version) else ""


def image_floor(root: Path = Path("/")) -> str:
    """Below this version nothing may be installed after the running image."""
    floor = _os_release(root).get(FLOOR_FIELD, "")
    return floor if is_version(floor) else image_version(root)


def memory(root: Path = Path("/")) -> Memory:
    """Where the record is."""
    return Memory(_below(root, RECORD_FOLDER))


def update_keys(folder: Path = KEYS_FOLDER) -> UpdateKeys:
    """The keys that the running image believes.

    Raises:
        OperatorError: there is no such folder: no image of ours runs here.
        EnvironmentFault: what is in it are no keys.
    """
    try:
        files = sorted(folder.glob("*.pem"))
        return UpdateKeys.parse([(path.stem, path.read_bytes()) for path in files])
    except OSError as error:
        raise OperatorError(f"{folder}: {error.strerror}") from error


def this_box(root: Path = Path("/")) -> Box:
    """All that an update works on.

    Raises:
        OperatorError: no image of ours runs here.
        DiskFault: the disk it was started from is not found.
    """
    version = image_version(root)
    match = _ROOT_HASH.search(_text(_below(root, Path("/proc/cmdline"))))
    architecture = _MACHINES.get(platform.machine(), "")
    if not version or match is None or not architecture:
        raise OperatorError(
            "this machine does not run an image of Vedette",
            advice="Update it as it was installed; vedette update is for boxes.",
        )
    return Box(
        disk=lambda: Disk(boot_disk(root)),
        esp=Esp(_below(root, Path("/boot"))),
        memory=memory(root),
        keys=update_keys(_below(root, KEYS_FOLDER)),
        standing=Standing(architecture, version, image_floor(root), live=runs_live(root)),
        root_hash=match[1],
    )


def runs_live(root: Path = Path("/")) -> bool:
    """Whether the boot loader has started the entry of a live sensor, as it says itself."""
    try:
        return _variable(root, "LoaderEntrySelected") == LIVE_ENTRY
    except (OSError, UnicodeDecodeError):
        return False


def boot_disk(root: Path = Path("/")) -> Path:
    """The disk that the boot loader was started from, as it says itself.

    Raises:
        DiskFault: it does not say, or there is no such disk.
    """
    try:
        partuuid = _variable(root, "LoaderDevicePartUUID")
        partition = os.path.realpath(_below(root, Path("/dev/disk/by-partuuid")) / partuuid)
        parent = _below(root, Path("/sys/class/block")).joinpath(Path(partition).name).resolve(strict=True).parent
    except (OSError, UnicodeDecodeError) as error:
        raise DiskFault(f"the disk that this box was started from is not found: {error}") from error
    return _below(root, Path("/dev")) / parent.name


def seen(box: Box, now_ns: int, root: Path = Path("/"), *, esp: bool = True) -> Seen:
    """What can be seen at this start; without `esp` the ESP is not looked at.

    Raises:
        DiskFault: the ESP cannot be read.
    """
    kind, _, words = _text(_below(root, NOTED)).strip().partition(" ")
    return Seen(
        now_ns=now_ns,
        boot_id=_text(_below(root, Path("/proc/sys/kernel/random/boot_id"))).strip(),
        version=box.standing.version,
        entries=box.esp.entries() if esp else (),
        ended=plain(kind, 16),
        ended_words=plain(words, 160),
    )


def note_restart(words: str, root: Path = Path("/")) -> None:
    """Say why the box is about to be started again; the next start tells it. Costs no restart when it cannot."""
    try:
        _below(root, NOTED.with_name("why")).write_text(f"{words}\n", encoding="utf-8")
    except OSError:
        return


def note_fall_back(record: Record, root: Path = Path("/")) -> None:
    """Tell the sensor that this start is a fall back; it goes out with every heartbeat until the next start.

    Raises:
        DiskFault: it cannot be noted.
    """
    path = _below(root, NOTED)
    try:
        unfinished = path.with_suffix(".new")
        unfinished.write_text(f"fallback from {record.version}: {record.reason}\n", encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        raise DiskFault(f"{path}: {error.strerror}") from error


def _variable(root: Path, name: str) -> str:
    """A text of the boot loader's, in small letters: four bytes of attributes, then UTF-16 (UEFI 2.10, 8.2)."""
    path = _below(root, Path(f"/sys/firmware/efi/efivars/{name}-{_LOADER}"))
    return path.read_bytes()[4:].decode("utf-16-le").rstrip("\0").lower()


def _os_release(root: Path) -> dict[str, str]:
    lines = _text(_below(root, OS_RELEASE)).splitlines()
    return {name: value.strip('"') for name, _, value in (line.partition("=") for line in lines)}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _below(root: Path, path: Path) -> Path:
    return root / path.relative_to("/")
