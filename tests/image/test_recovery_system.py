"""The recovery system and the rule by which a box knows its own disk: what they name is there, and sorts as it must."""

from __future__ import annotations

import re

from appliance.wire.bundle import IMAGE_ID
from image import disk, initrd
from image.initrd import RECOVERY
from image.layout import RECOVERY_FILE, RECOVERY_TARGET, command_line, recovery_command_line
from image.root import OVERLAY

UNITS = RECOVERY / "usr/lib/systemd/system"
RULES = "usr/lib/udev/rules.d"


def test_each_unit_that_the_recovery_system_names_is_there() -> None:
    wanted = set(re.findall(r"^Wants=(.*)$", (UNITS / RECOVERY_TARGET).read_text(encoding="ascii"), re.MULTILINE))
    names = {name for line in wanted for name in line.split()}
    rule = (RECOVERY / RULES / "90-vedette-recovery-system.rules").read_text(encoding="ascii")
    names |= {name.replace("@$parent.", "@.") for name in re.findall(r'SYSTEMD_WANTS}\+="([^"]+)"', rule)}
    names |= {name.replace(".timer", ".service") for name in names}
    assert names == {path.name for path in UNITS.iterdir()} - {RECOVERY_TARGET}


def test_the_recovery_system_is_told_its_first_unit_and_has_no_root() -> None:
    words = recovery_command_line().split()
    assert f"rd.systemd.unit={RECOVERY_TARGET}" in words
    assert not [word for word in words if word.startswith("roothash=")]
    # What keeps people and their words out of a box holds there too.
    assert set(command_line("0" * 64).split()[1:]) <= set(words)


def test_the_boot_loader_prefers_every_slot_with_tries_to_the_recovery_system() -> None:
    fields = dict(line.split(maxsplit=1) for line in disk.recovery_entry().splitlines())
    # Kernel files sort by their IMAGE_ID; an entry without counter is never among those without tries.
    assert fields["sort-key"] > IMAGE_ID
    assert fields["efi"] == f"/{RECOVERY_FILE}"
    assert "+" not in RECOVERY_FILE


def test_a_boxs_names_for_partitions_are_its_own_disks_before_the_root_is_looked_for() -> None:
    name = "61-vedette-root.rules"
    rule = (OVERLAY / RULES / name).read_text(encoding="ascii")
    for link in ("by-partuuid/$env{ID_PART_ENTRY_UUID}", "by-partlabel/$env{ID_PART_ENTRY_NAME}"):
        assert f'SYMLINK-="disk/{link}"' in rule
    # In the initrd, too, and after the rules that make the links.
    assert name in initrd.UDEV_RULES
    assert name > "60-persistent-storage.rules"
