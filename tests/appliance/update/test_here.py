"""The box is what the boot loader and the running image say; on any other machine nothing is touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance.cli.main import main
from appliance.errors import EnvironmentFault, OperatorError
from appliance.health.check import Facts, Severity
from appliance.health.checks.update import update
from appliance.spool import Depth
from appliance.update import DiskFault
from appliance.update.here import boot_disk, image_version, note_fall_back, seen, this_box
from appliance.update.record import Record
from appliance.update.stick import file_systems
from appliance.update.trust import UpdateKeys
from appliance.uplink import UplinkStatus
from appliance.wire.heartbeat import HostHealth, SystemHealth, UpdateOutcome
from tests.fakes.box_disk import Maker, root_hash

PARTUUID = "b94e8fd3-99de-4b13-ad8f-eee4ba5b79bf"
VARIABLE = "sys/firmware/efi/efivars/LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
MAKER = Maker()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A running box's files."""
    monkeypatch.setattr("appliance.update.here.platform.machine", lambda: "x86_64")
    files = {
        "usr/lib/os-release": "ID=debian\nIMAGE_ID=vedette\nIMAGE_VERSION=1.2.3\nVEDETTE_SECURITY_FLOOR=1.2\n",
        "proc/cmdline": f"quiet roothash={root_hash('1')} console=ttyS0",
        "proc/sys/kernel/random/boot_id": "11112222\n",
        "usr/lib/vedette/update-keys/update.pem": MAKER.public().decode(),
        "run/vedette-start/box": "watchdog the hardware's watchdog reset the box\n",
        "boot/EFI/Linux/vedette_1.2.3+2-1.efi": "",
        "boot/EFI/Linux/other.efi": "",
        "dev/nvme0n1": "",
        "dev/nvme0n1p1": "",
        "sys/devices/pci/nvme0n1/nvme0n1p1/partition": "1\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / VARIABLE).parent.mkdir(parents=True)
    (tmp_path / VARIABLE).write_bytes(b"\x06\0\0\0" + (PARTUUID.upper() + "\0").encode("utf-16-le"))
    (tmp_path / "dev/disk/by-partuuid").mkdir(parents=True)
    (tmp_path / "dev/disk/by-partuuid" / PARTUUID).symlink_to("../../nvme0n1p1")
    (tmp_path / "sys/class/block").mkdir(parents=True)
    (tmp_path / "sys/class/block/nvme0n1p1").symlink_to("../../devices/pci/nvme0n1/nvme0n1p1")
    return tmp_path


def test_a_box_is_read_from_the_running_system(root: Path) -> None:
    box = this_box(root)
    assert (box.standing.version, box.standing.floor, box.standing.architecture) == ("1.2.3", "1.2", "amd64")
    assert box.root_hash == root_hash("1")
    assert boot_disk(root) == root / "dev/nvme0n1"
    found = seen(box, 5, root)
    assert [entry.name for entry in found.entries] == ["vedette_1.2.3+2-1.efi"]
    assert (found.ended, found.ended_words) == ("watchdog", "the hardware's watchdog reset the box")
    assert found.boot_id == "11112222"


@pytest.mark.parametrize(("entry", "live"), [("live.conf", True), ("vedette_1.2.3+2-1.efi", False), (None, False)])
def test_a_live_sensor_is_known_by_the_entry_that_was_started(root: Path, entry: str | None, live: bool) -> None:
    if entry is not None:
        variable = (root / VARIABLE).with_name(VARIABLE.rpartition("/")[2].replace("DevicePartUUID", "EntrySelected"))
        variable.write_bytes(b"\x06\0\0\0" + (entry + "\0").encode("utf-16-le"))
    assert this_box(root).standing.live is live


def test_a_boot_loader_that_does_not_say_where_it_is_from_is_a_fault(root: Path) -> None:
    (root / VARIABLE).write_bytes(b"\x06\0\0\0\xd8")
    with pytest.raises(DiskFault):
        boot_disk(root)
    (root / VARIABLE).unlink()
    with pytest.raises(DiskFault):
        boot_disk(root)


@pytest.mark.parametrize("line", ["IMAGE_ID=other", "IMAGE_ID=vedette\nIMAGE_VERSION=x", ""])
def test_a_machine_without_our_image_is_left_alone(root: Path, line: str) -> None:
    (root / "usr/lib/os-release").write_text(f"ID=debian\n{line}\n", encoding="utf-8")
    assert image_version(root) == ""
    with pytest.raises(OperatorError, match="image of Vedette"):
        this_box(root)


def test_keys_that_are_none_are_a_fault_of_the_image(root: Path) -> None:
    (root / "usr/lib/vedette/update-keys/update.pem").write_text("-----BEGIN", encoding="ascii")
    with pytest.raises(EnvironmentFault):
        this_box(root)
    with pytest.raises(EnvironmentFault):
        UpdateKeys.parse([])
    with pytest.raises(EnvironmentFault):
        UpdateKeys.parse([(str(n), MAKER.public()) for n in range(9)])


def test_a_fall_back_is_noted_for_the_heartbeat(root: Path) -> None:
    note_fall_back(Record(version="2", reason="not healthy: no engine"), root)
    assert (root / "run/vedette-start/box").read_text() == "fallback from 2: not healthy: no engine\n"


def test_only_fat_on_usb_is_looked_at() -> None:
    listed = {
        "blockdevices": [
            {"path": "/dev/sda", "tran": "usb", "children": [
                {"path": "/dev/sda1", "fstype": "vfat"}, {"path": "/dev/sda2", "fstype": "ext4"}]},
            {"path": "/dev/sdb", "tran": "usb", "fstype": "vfat"},
            {"path": "/dev/nvme0n1", "tran": "nvme", "children": [{"path": "/dev/nvme0n1p1", "fstype": "vfat"}]},
        ]
    }  # fmt: skip
    assert file_systems(json.dumps(listed)) == ["/dev/sda1", "/dev/sdb"]


def test_a_bundle_can_be_looked_at_anywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "ours.pem").write_bytes(MAKER.public())
    path = MAKER.bundle(tmp_path / "b", "2")
    assert main(["update", str(path), "--check", "--keys", str(tmp_path / "keys"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["version"], said["signed_by"], said["root_hash"]) == ("2", "ours", root_hash("2"))
    assert main(["update", str(Maker().bundle(path, "2")), "--check", "--keys", str(tmp_path / "keys")]) == 2
    assert "none of this box's keys" in capsys.readouterr().err


def test_an_update_that_does_not_say_where_from_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["update"]) == 2
    assert main(["update", "x", "--from-stick"]) == 2
    assert "where from" in capsys.readouterr().err


def facts(system: SystemHealth | None) -> Facts:
    host = HostHealth(1.0, 0.1, 1.0, 1.0, 1)
    return Facts(1, host, Depth(0, 0, None), 1, 0, UplinkStatus(), system=system)


def test_a_fall_back_is_a_warning_until_another_version_was_good() -> None:
    fell = UpdateOutcome(1, 1, "fell-back", "2", "not healthy: no engine")
    restarted = UpdateOutcome(2, 2, "restarted", "1", "watchdog: reset")
    finding = update(facts(SystemHealth("1", "fell back", "2", "1", (fell, restarted))))
    assert finding.severity is Severity.WARNING
    assert "no engine" in finding.text
    good = UpdateOutcome(3, 3, "good", "3")
    assert update(facts(SystemHealth("3", "good", "3", "1", (fell, good)))).severity is Severity.OK
    assert update(facts(None)).severity is Severity.OK
