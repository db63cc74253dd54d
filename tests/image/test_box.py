"""The programs of the box itself: which disk is written, which port is a tap, which partition is the stick."""

from __future__ import annotations

import json
import os
import re
import sys
import tomllib
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

from image.root import OVERLAY


def program(name: str) -> ModuleType:
    """A program of the box as a module; it has no suffix."""
    loader = SourceFileLoader(f"box_{name}", str(OVERLAY / "usr/lib/vedette" / name))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    sys.modules[loader.name] = module
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = written
    return module


install, interfaces, first_boot, capture, start_reason = (
    program(n) for n in ("install", "interfaces", "first_boot", "capture", "start_reason")
)

STICK = "aaaa-1"


def disk(
    path: str, *, tran: str = "nvme", size: int = 10**11, fstype: str | None = None, parts: list[dict] | None = None
) -> dict:
    return {"path": path, "type": "disk", "size": size, "tran": tran, "fstype": fstype, "children": parts or []}


def part(label: str | None, uuid: str) -> dict:
    return {"path": "/dev/x1", "type": "part", "partlabel": label, "partuuid": uuid, "fstype": None}


USB = disk("/dev/sda", tran="usb", parts=[part("ESP", STICK)])
OURS = [part("ESP", "b-1"), part("vedette_0.1.0", "b-2")]
FOREIGN = [part("Basic data partition", "c-1")]


def choose(*disks: dict) -> str:
    return str(install.choose(install.parse_disks(json.dumps({"blockdevices": disks})), STICK).path)


def test_the_one_internal_disk_is_chosen() -> None:
    assert choose(USB, disk("/dev/nvme0n1")) == "/dev/nvme0n1"


@pytest.mark.parametrize(
    "disks",
    [
        (USB,),
        (USB, disk("/dev/sdb", tran="usb")),
        (USB, disk("/dev/mmcblk0", size=10**9)),
        (USB, disk("/dev/nvme0n1"), disk("/dev/nvme1n1")),
        (disk("/dev/nvme0n1", parts=[part("ESP", STICK)]),),
    ],
    ids=["none", "second stick", "too small", "two", "the one it was started from"],
)
def test_no_disk_or_a_doubtful_one_is_refused(disks: tuple[dict, ...]) -> None:
    with pytest.raises(install.RefusalError):
        choose(*disks)


def test_of_two_disks_the_sensors_own_is_chosen() -> None:
    assert choose(USB, disk("/dev/sdb", tran="sata"), disk("/dev/nvme0n1", parts=OURS)) == "/dev/nvme0n1"


@pytest.mark.parametrize(
    ("entry", "unattended"),
    [
        (disk("/dev/d"), True),
        (disk("/dev/d", parts=OURS), True),
        (disk("/dev/d", parts=FOREIGN), False),
        (disk("/dev/d", parts=[part(None, "d-1")]), False),
        (disk("/dev/d", fstype="ext4"), False),
    ],
    ids=["blank", "a sensor's", "foreign", "without labels", "a file system without partitions"],
)
def test_unattended_never_writes_over_what_is_not_ours(entry: dict, unattended: bool) -> None:
    (found,) = install.parse_disks(json.dumps({"blockdevices": [entry]}))
    assert (install.may_write(found, "unattended") == "yes") is unattended
    assert install.may_write(found, "ask") == "ask"
    assert install.may_write(found, "live") not in ("yes", "ask")


def test_the_first_port_is_management_and_slot_10_comes_after_slot_2() -> None:
    found = {"enp10s0": "02:00:00:00:00:0a", "enp2s0": "02:00:00:00:00:02", "eno1": "02:00:00:00:00:01"}
    assert interfaces.roles(found) == {"eno1": "mgmt0", "enp2s0": "capture0", "enp10s0": "capture1"}


def test_the_stick_names_the_management_port_and_a_card_that_is_gone_does_not_cut_the_box_off() -> None:
    found = {"eno1": "02:00:00:00:00:01", "enp2s0": "02:00:00:00:00:02"}
    assert interfaces.roles(found, "02:00:00:00:00:02") == {"enp2s0": "mgmt0", "eno1": "capture0"}
    assert interfaces.roles(found, "02:00:00:00:00:99") == {"eno1": "mgmt0", "enp2s0": "capture0"}
    assert interfaces.roles({"eno1": "02:00:00:00:00:01"}) == {"eno1": "mgmt0"}
    assert interfaces.roles({}) == {}
    assert interfaces.named_address("[Match]\nMACAddress=02:00:00:00:00:02\n") == "02:00:00:00:00:02"
    assert interfaces.named_address("[Match]\nType=ether\n") == ""


def test_only_fat_on_usb_is_a_stick_whole_or_partitioned() -> None:
    fat = {"path": "/dev/sdb1", "fstype": "vfat"}
    listed = {
        "blockdevices": [
            {"path": "/dev/nvme0n1", "tran": "nvme", "children": [{"path": "/dev/nvme0n1p1", "fstype": "vfat"}]},
            {"path": "/dev/sda", "tran": "usb", "fstype": "vfat"},
            {"path": "/dev/sdb", "tran": "usb", "children": [fat, {"path": "/dev/sdb2", "fstype": "ext4"}]},
        ]
    }
    assert first_boot.candidates(json.dumps(listed)) == ["/dev/sda", "/dev/sdb1"]
    assert first_boot.candidates("{}") == []


def test_the_ring_is_made_as_large_as_the_card_allows() -> None:
    told = "Ring parameters for eth0:\nPre-set maximums:\nRX:\t4096\nTX:\t4096\nCurrent hardware settings:\nRX:\t256\n"
    assert capture.largest_ring(told) == 4096
    assert capture.largest_ring("Pre-set maximums:\nRX:\tn/a\n") == 0
    assert capture.largest_ring("error: Operation not supported") == 0


@pytest.mark.parametrize("name", ["install", "first_boot"])
def test_lsblk_is_asked_for_a_tree(name: str) -> None:
    """Without NAME it gives a flat list, in which every disk looks blank."""
    source = (OVERLAY / "usr/lib/vedette" / name).read_text(encoding="utf-8")
    asked = re.findall(r'"([A-Z,]*FSTYPE[A-Z,]*)"', source)
    assert asked
    assert all(columns.startswith("NAME,") for columns in asked)


def test_every_tap_of_the_box_is_watched() -> None:
    config = (OVERLAY / "etc/vedette/vedette.toml").read_text(encoding="ascii")
    names = ["mgmt0", *(f"capture{n}" for n in (10, 2, 0))]
    wanted = ["capture0", "capture2", "capture10"]
    assert tomllib.loads(interfaces.with_taps(config, names))["capture"]["interfaces"] == wanted
    assert interfaces.with_taps(config, ["mgmt0"]) == config


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        ({"been": False, "mark": False}, "first"),
        ({"been": True, "mark": False, "why": "the stick's settings"}, "planned"),
        ({"been": True, "mark": True}, "power"),
        ({"been": True, "mark": True, "card_reset": True}, "watchdog"),
        ({"been": True, "mark": True, "crash": "sysrq triggered crash"}, "panic"),
        ({"been": True, "mark": True, "card_reset": True, "crash": "x"}, "panic"),
    ],
)
def test_why_the_box_was_started_is_told_by_what_the_boot_before_left(found: dict, kind: str) -> None:
    assert start_reason.judge(start_reason.Found(**found)).kind == kind


def test_a_crashs_own_words_are_found_and_short() -> None:
    text = "Panic#1 Part1\n<6>[ 1.0] usb ok\n<0>[ 2.0] Kernel panic - not syncing: sysrq triggered crash" + "x" * 500
    assert start_reason.crash_words(text).startswith("Kernel panic - not syncing: sysrq triggered crash")
    assert len(start_reason.crash_words(text)) <= 200
    assert start_reason.crash_words("nothing of the kind") == ""


def test_a_crash_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "dmesg.txt").write_text("Kernel panic - not syncing: a", encoding="ascii")
    words, names = start_reason.crash(set(), (tmp_path,))
    assert words.endswith(": a")
    assert start_reason.crash(names, (tmp_path,)) == ("", names)


def test_a_watchdog_that_says_it_reset_the_box_is_heard(tmp_path: Path) -> None:
    for number, flags in enumerate(("0", "32", "bad")):
        (tmp_path / f"watchdog{number}").mkdir()
        (tmp_path / f"watchdog{number}" / "bootstatus").write_text(flags, encoding="ascii")
    assert start_reason.card_reset(tmp_path)
    (tmp_path / "watchdog1" / "bootstatus").write_text("0", encoding="ascii")
    assert not start_reason.card_reset(tmp_path)


@pytest.mark.parametrize(
    ("numbers", "processors", "wanted"),
    [
        ([40, 41, 42], [0, 1, 2, 3], {40: 3, 41: 2, 42: 1}),
        ([40, 41, 42], [0, 1], {40: 1, 41: 1, 42: 1}),
        ([40], [0], {40: 0}),
        ([], [0, 1], {}),
    ],
)
def test_a_taps_queues_are_spread_and_the_first_processor_is_left_alone(
    numbers: list[int], processors: list[int], wanted: dict[int, int]
) -> None:
    assert capture.places(numbers, processors) == wanted


def test_records_of_crashes_are_bounded_and_the_newest_stay(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "dmesg.txt").write_text("x", encoding="ascii")
        os.utime(tmp_path / str(number), (number, number))
    start_reason.prune(tmp_path, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["3", "4"]
    start_reason.prune(tmp_path / "absent")
