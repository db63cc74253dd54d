"""The disk image: the ESP with boot loader and kernel file, and slot A, as one file that dd can write.

Rules of this file: it puts together what is made elsewhere and changes none of it.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from image.layout import ESP_MIB, RECOVERY_ENTRY, RECOVERY_FILE, REPART_SEED, ROOT_MIB, ROOT_TYPES, VERITY_MIB
from image.root import set_times
from image.tools import Tools
from image.verity import SlotFiles

# Debian's word for the machine -> the names that UEFI gives to a boot loader.
LOADERS = {"amd64": ("systemd-bootx64.efi", "BOOTX64.EFI"), "arm64": ("systemd-bootaa64.efi", "BOOTAA64.EFI")}

# No menu, no editor, no entry that is not a kernel file of ours.
LOADER_CONF = "timeout menu-disabled\neditor no\nauto-entries no\nauto-firmware no\n"


def recovery_entry() -> str:
    """The boot loader's entry for the recovery system (Boot Loader Specification, type 1).

    It is not counted and sorts after every kernel file of a slot; the boot loader puts those without tries behind it.
    """
    return f"title Vedette, recovery\nsort-key zz-recovery\nefi /{RECOVERY_FILE}\n"


def add_recovery(esp: Path, recovery: Path, *, epoch: int) -> None:
    """Put the signed recovery system into the folder that becomes a box's ESP."""
    for folder in (Path(RECOVERY_FILE).parent, Path("loader/entries")):
        (esp / folder).mkdir(parents=True)
    shutil.copyfile(recovery, esp / RECOVERY_FILE)
    (esp / "loader/entries" / RECOVERY_ENTRY).write_text(recovery_entry(), encoding="ascii")
    set_times(esp, epoch)


def make_esp(target: Path, *, loader: Path, uki: Path, uki_name: str, architecture: str, epoch: int) -> None:
    """The folder that becomes the ESP; `loader` and `uki` are signed."""
    own_name, fallback_name = LOADERS[architecture]
    for folder in ("EFI/BOOT", "EFI/systemd", "EFI/Linux", "loader"):
        (target / folder).mkdir(parents=True)
    shutil.copyfile(loader, target / "EFI/BOOT" / fallback_name)
    shutil.copyfile(loader, target / "EFI/systemd" / own_name)
    shutil.copyfile(uki, target / "EFI/Linux" / uki_name)
    (target / "loader/loader.conf").write_text(LOADER_CONF, encoding="ascii")
    set_times(target, epoch)


def make_disk(
    tools: Tools, esp: Path, slot: SlotFiles, work: Path, target: Path, *, architecture: str, epoch: int
) -> None:
    """The whole image.

    Raises:
        StepError: systemd-repart failed.
    """
    definitions, kind = work / "disk.repart", ROOT_TYPES[architecture]
    definitions.mkdir()
    names = slot.slot
    partition_file(definitions / "00-esp.conf", ESP_MIB, "Type=esp", "Format=vfat", "Label=ESP", "CopyFiles=/:/")
    partition_file(
        *(definitions / "10-root-verity.conf", VERITY_MIB, f"Type={kind}-verity", f"Label={names.verity_label}"),
        *(f"UUID={names.verity_uuid}", f"CopyBlocks={slot.verity}", "ReadOnly=yes"),
    )
    partition_file(
        *(definitions / "11-root.conf", ROOT_MIB, f"Type={kind}", f"Label={names.root_label}"),
        *(f"UUID={names.root_uuid}", f"CopyBlocks={slot.root}", "ReadOnly=yes"),
    )
    target.unlink(missing_ok=True)
    tools.run(
        *("systemd-repart", "--offline=yes", "--empty=create", "--size=auto", "--dry-run=no", "--no-pager"),
        *(f"--seed={REPART_SEED}", f"--definitions={definitions}", f"--copy-source={esp}", target),
        environment={"SOURCE_DATE_EPOCH": str(epoch)},
    )


def partition_file(path: Path, mib: int, *lines: str) -> None:
    """Write a repart.d(5) file; 0 MiB: as large as what is copied into it."""
    size = [f"SizeMinBytes={mib}M", f"SizeMaxBytes={mib}M"] if mib else []
    path.write_text("\n".join(["[Partition]", *lines, *size]) + "\n", encoding="ascii")
