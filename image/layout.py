"""Partitions, sizes and names of the image: what the build, the box and the drills must agree on.

Rules of this file: data only, and pure functions from a root hash to names. The box reads the same sizes from
overlay/usr/lib/repart.d; a test compares them.

    ESP 384M | root-verity A 16M | root A 384M | (first boot adds) root-verity B 16M | root B 384M | var, LUKS2
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from appliance.wire.bundle import HASH, IMAGE_ID, SlotNames, is_version
from image.errors import InputError

MIB = 1024 * 1024

# FAT32 of 256 MiB has too few clusters for firmware to accept; 384 MiB holds three kernels of 25 MiB many times over,
# and an update that was cut off never finds it full.
ESP_MIB = 384
VERITY_MIB = 16
ROOT_MIB = 384

# Debian's word for the machine -> the partition type of its root (Discoverable Partitions Specification).
ROOT_TYPES = {"amd64": "root-x86-64", "arm64": "root-arm64"}

# Below this version nothing may be installed after an image of this tree has been good on a box. Raise it with the
# release that closes a hole which the versions before it have.
SECURITY_FLOOR = "0.1.0"

DOWNLOAD_LIMIT_BYTES = 350 * MIB

# Partition and disk identifiers are derived from this by systemd-repart, so that two builds agree.
REPART_SEED = UUID("4b3e1f52-7f7e-4f0a-9a37-2f3a9c0d1e6b")
# The stick's are others: the ESP that was started from tells a box which of its disks is which.
STICK_SEED = UUID("0d8f6a4e-51c7-4b3b-8f5e-7c2a64d1e9b0")

# What the boot loader starts when every version has used up its tries: its file on the ESP, its entry, its first unit.
RECOVERY_FILE = "EFI/vedette/recovery.efi"
RECOVERY_ENTRY = "recovery.conf"
RECOVERY_TARGET = "vedette-recovery-system.target"


@dataclass(frozen=True, slots=True)
class Slot(SlotNames):
    """One root file system and its hash tree, as partitions of a disk and as files of an update."""

    version: str
    root_hash: str

    def __post_init__(self) -> None:
        """Check both.

        Raises:
            InputError: the version or the root hash has another form.
        """
        if not is_version(self.version):
            raise InputError(f"version {self.version!r} came, numbers such as 0.1.0 or 0.1.0-2 were allowed")
        if not HASH.fullmatch(self.root_hash):
            raise InputError(f"root hash {self.root_hash!r} came, 64 hexadecimal digits were allowed")

    @property
    def root_file(self) -> str:
        """File name of the root in an update."""
        return f"{IMAGE_ID}_{self.version}.root.{self.root_uuid}.raw"

    @property
    def verity_file(self) -> str:
        """File name of the hash tree in an update."""
        return f"{IMAGE_ID}_{self.version}.root-verity.{self.verity_uuid}.raw"

    @property
    def uki_file(self) -> str:
        """File name of the signed kernel in an update and on the ESP."""
        return f"{IMAGE_ID}_{self.version}.efi"


def command_line(root_hash: str) -> str:
    """The kernel's command line; it is part of what is signed."""
    return f"roothash={root_hash} {_words()}"


def recovery_command_line() -> str:
    """That of the recovery system, which has no root but its initrd and lets nothing look for one."""
    return f"rd.systemd.unit={RECOVERY_TARGET} systemd.gpt_auto=no {_words()}"


def _words() -> str:
    words = [
        # The kernel speaks to both; the last is /dev/console, whose lines vedette-screen.service puts on the screen.
        "console=tty0",
        "console=ttyS0,115200",
        "quiet",
        "systemd.show_status=no",
        # The machine id is the firmware's UUID: the root cannot be written to.
        "systemd.machine_id=firmware",
        # A kernel that has lost its way starts again; the watchdog catches the one that cannot.
        "panic=10",
        "oops=panic",
        # No editor, no shell by a word on the command line, and no rescue prompt from generators.
        "systemd.debug_shell=no",
        "rd.systemd.debug_shell=no",
        # PID 1 itself: systemd would freeze, and a frozen one still holds the watchdog's descriptor open.
        "systemd.crash_action=reboot",
        # Emulated machines and tired disks take longer than the 90 s that are usual.
        "systemd.default_device_timeout_sec=120",
        "systemd.swap=no",
        # Nobody is there to answer e2fsck.
        "fsck.repair=yes",
        # A partition table that the power has torn: the kernel looks at the one at the disk's end.
        "gpt",
        # Anyone at the box could otherwise hand its first process a unit or a password.
        "systemd.import_credentials=no",
    ]
    return " ".join(words)
