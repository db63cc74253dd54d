"""The stick: the verified root that the box will have, a kernel file that installs, and a FAT partition for settings.

    ESP 384M (installer; /installed is the box's own ESP) | root-verity 16M | root 384M | VEDETTE 64M, FAT
    a live sensor's first boot adds what a box's does: root-verity B, root B | var, LUKS2

Rules of this file: it puts together what is made elsewhere. The installer's kernel file is signed like any other, but
with no TPM policy: the TPM does not open a box's /var for it. It is what the stick starts; a live sensor is the box's
own kernel file, which the installer has the boot loader start once, each time.
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

from image.disk import make_esp, partition_file
from image.fat import LABEL, make_fat
from image.keys import OWNER_GUID, Keys
from image.layout import ESP_MIB, ROOT_MIB, ROOT_TYPES, STICK_SEED, VERITY_MIB
from image.root import set_times
from image.tools import Tools
from image.verity import SlotFiles

# Every system shows it: Windows hides an ESP.
BASIC_DATA = "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"

# Vendors of the variables: EFI_GLOBAL_VARIABLE, and EFI_IMAGE_SECURITY_DATABASE for db (UEFI 3.3, 32.4.1).
_GLOBAL, _SECURITY = "8be4df61-93ca-11d2-aa0d-00e098032b8c", "d719b2cb-3d3a-4596-a3bc-dad00e67656f"
VARIABLE_GUIDS = {"PK": _GLOBAL, "KEK": _GLOBAL, "db": _SECURITY}

# Firmware in setup mode gets our keys before anything else is started; other firmware is left alone.
LOADER_CONF = (
    "timeout menu-disabled\neditor no\nauto-entries no\nauto-firmware no\ndefault install_*\nsecure-boot-enroll force\n"
)

# Named in overlay/usr/lib/vedette/install, too; a test compares them.
LIVE_ENTRY = "live.conf"

# On top of the box's own command line: nothing of the disk is touched but by the installer. A live sensor's kernel that
# crashed has left its words in the firmware: they are for the boot that has a /var.
INSTALL = (
    "systemd.unit=vedette-install.target systemd.volatile=state luks=no fstab=no"
    " systemd.mask=systemd-repart.service systemd.mask=systemd-pstore.service"
)


def live_entry(uki_name: str) -> str:
    """The boot loader's entry for a live sensor (Boot Loader Specification, type 1): the box's own kernel file."""
    return f"title Vedette, live\nefi /installed/EFI/Linux/{uki_name}\n"


def make_enrollment(tools: Tools, keys: Keys, target: Path, *, epoch: int) -> None:
    """Signed key lists that the boot loader gives to firmware in setup mode (UEFI 8.2.2), in `target`.

    Raises:
        StepError: a program failed.
    """
    target.mkdir(parents=True)
    # The time in a list is also what a later list must be newer than.
    at = datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d %H:%M:%S")
    for name, signer in (("PK", "PK"), ("KEK", "PK"), ("db", "KEK")):
        plain = target / f"{name}.esl"
        tools.run("cert-to-efi-sig-list", "-g", OWNER_GUID, keys.certificate(name), plain)
        # sbvarsign's PK is refused by EDK2 2025.02 with a security violation; efitools' is taken.
        key, in_token = keys.signer(signer)
        tools.run(
            *("sign-efi-sig-list", "-t", at, "-g", VARIABLE_GUIDS[name]),
            *(("-e", "pkcs11") if in_token else ()),
            *("-k", key, "-c", keys.certificate(signer), name, plain, target / f"{name}.auth"),
            environment=keys.environment(),
        )
        plain.unlink()


def make_stick(
    tools: Tools,
    keys: Keys,
    installed_esp: Path,
    slot: SlotFiles,
    work: Path,
    target: Path,
    *,
    loader: Path,
    uki: Path,
    uki_name: str,
    architecture: str,
    epoch: int,
) -> None:
    """The whole stick; `uki` is the signed installer.

    Raises:
        StepError: a program failed.
    """
    esp = work / "stick-esp"
    make_esp(esp, loader=loader, uki=uki, uki_name=uki_name, architecture=architecture, epoch=epoch)
    (esp / "loader/loader.conf").write_text(LOADER_CONF, encoding="ascii")
    make_enrollment(tools, keys, esp / "loader/keys/auto", epoch=epoch)
    (esp / "loader/entries").mkdir()
    (esp / "loader/entries" / LIVE_ENTRY).write_text(live_entry(slot.slot.uki_file), encoding="ascii")
    shutil.copytree(installed_esp, esp / "installed")
    set_times(esp, epoch)
    make_fat(tools, work / "settings.fat")
    kind, names = ROOT_TYPES[architecture], slot.slot
    definitions = work / "stick.repart"
    definitions.mkdir()
    partition_file(definitions / "00-esp.conf", ESP_MIB, "Type=esp", "Format=vfat", "Label=ESP", "CopyFiles=/:/")
    partition_file(
        *(definitions / "10-root-verity.conf", VERITY_MIB, f"Type={kind}-verity", f"Label={names.verity_label}"),
        *(f"UUID={names.verity_uuid}", f"CopyBlocks={slot.verity}", "ReadOnly=yes"),
    )
    partition_file(
        *(definitions / "11-root.conf", ROOT_MIB, f"Type={kind}", f"Label={names.root_label}"),
        *(f"UUID={names.root_uuid}", f"CopyBlocks={slot.root}", "ReadOnly=yes"),
    )
    partition_file(
        definitions / "20-settings.conf",
        0,
        f"Type={BASIC_DATA}",
        f"Label={LABEL}",
        f"CopyBlocks={work / 'settings.fat'}",
    )
    target.unlink(missing_ok=True)
    tools.run(
        *("systemd-repart", "--offline=yes", "--empty=create", "--size=auto", "--dry-run=no", "--no-pager"),
        *(f"--seed={STICK_SEED}", f"--definitions={definitions}", f"--copy-source={esp}", target),
        environment={"SOURCE_DATE_EPOCH": str(epoch)},
    )
