"""Lists and layout: what is written down in two places is the same, and what is not explained is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from appliance.update.entries import Entry, parse_entry
from appliance.wire.bundle import PART_NAMES, Manifest, Part, is_version
from image import layout, packages
from image.build import DRILL
from image.errors import HostError, InputError
from image.mirror import parse_targets
from image.root import OVERLAY

LIB = OVERLAY / "usr/lib"
HASH = "8bb3dd2e960ffa181094c25b7330efa14efbc0d56f70f56c2e473987cb366c33"


@pytest.mark.parametrize("path", [packages.IMAGE_LIST, packages.TOOLS_LIST], ids=lambda p: p.name)
@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_every_package_has_its_reason(path: Path, architecture: str) -> None:
    assert packages.read(path, architecture)


@pytest.mark.parametrize(
    "text", ["less\n", "less #\n", "less  # a\nless  # b\n", "Less  # a\n", "less; rm  # a\n", "less [amd64  # a\n"]
)
def test_a_package_without_a_reason_or_with_another_form_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        packages.parse(text, "amd64")


def test_a_package_of_another_architecture_is_left_out() -> None:
    assert packages.parse("a1 [amd64]  # x\nb1 [arm64]  # y\nc1  # z\n", "arm64") == ("b1", "c1")


def test_the_mirror_is_the_machines_own_and_security_must_be_with_it() -> None:
    lines = [
        "Debian|http://mirror.test/debian/",
        "Debian-Security|http://mirror.test/security/",
        "Other|http://o.test/",
    ]
    found = parse_targets(lines)
    assert found.sources("trixie")[2].endswith(" http://mirror.test/security/ trixie-security main")
    with pytest.raises(HostError, match="Debian-Security"):
        parse_targets(lines[:1])
    with pytest.raises(HostError):
        parse_targets(["Debian|rsh://x", "Debian-Security|cdrom:[x]"])


def test_the_box_makes_the_partitions_that_the_image_has() -> None:
    sizes = {
        path.stem: re.findall(r"Size(?:Min|Max)Bytes=(\d+)M", path.read_text(encoding="ascii"))
        for folder in (LIB / "repart.d", LIB / "vedette/install.repart.d")
        for path in folder.glob("*.conf")
    }
    for name, found in sizes.items():
        wanted = layout.ESP_MIB if "esp" in name else layout.VERITY_MIB if "verity" in name else layout.ROOT_MIB
        if "var" not in name:
            assert found == [str(wanted)] * 2, name


def test_the_image_and_the_box_call_a_slot_the_same() -> None:
    slot = layout.Slot("0.1.0", HASH)
    part = tuple(Part(name, 1, 1, HASH) for name in PART_NAMES)
    box = Manifest("amd64", "0.1.0", "0.1.0", HASH, 0, part)
    assert (slot.root_uuid, slot.verity_uuid) == (box.root_uuid, box.verity_uuid)
    assert slot.root_uuid.hex + slot.verity_uuid.hex == HASH
    assert (slot.root_label, slot.verity_label) == (box.root_label, box.verity_label)
    assert parse_entry(slot.uki_file) == Entry("0.1.0")
    assert is_version(layout.SECURITY_FLOOR)


@pytest.mark.parametrize(("version", "root_hash"), [("0.1 0", HASH), ("", HASH), ("1", HASH[1:]), ("1", HASH.upper())])
def test_a_version_or_root_hash_of_another_form_is_refused(version: str, root_hash: str) -> None:
    with pytest.raises(InputError):
        layout.Slot(version, root_hash)


def test_nothing_is_taken_from_the_firmwares_strings() -> None:
    assert "systemd.import_credentials=no" in layout.command_line(HASH).split()


def test_the_way_in_of_drill_images_is_in_no_other() -> None:
    ours = {path.relative_to(OVERLAY) for path in OVERLAY.rglob("*")}
    theirs = {path.relative_to(DRILL) for path in DRILL.rglob("*") if not path.is_dir()}
    assert len(theirs) == 3
    assert not ours & theirs
    texts = [path.read_text(encoding="utf-8") for path in OVERLAY.rglob("*") if path.is_file()]
    assert not [text for text in texts if "virtio-ports" in text or "vedette-drill" in text]


def test_what_the_preset_enables_is_there_and_nothing_else_is_enabled() -> None:
    lines = (LIB / "systemd/system-preset/00-vedette.preset").read_text(encoding="ascii").splitlines()
    assert lines[-1] == "disable *"
    ours = {line.split()[1] for line in lines if line.startswith("enable vedette")}
    there = {path.name for path in (LIB / "systemd/system").glob("vedette*.service")}
    there |= {path.name for path in (LIB / "systemd/system").glob("vedette*.path")}
    # Begun by the stick's command line, by a path, by a stick or a board that is put in; a template by what names its
    # instance.
    begun = {"vedette-install.service", "vedette-update.service", "vedette-update-stick.service"}
    begun.add("vedette-supervisor.service")
    assert ours == {name for name in there if "@." not in name} - begun


def test_every_program_a_unit_starts_is_in_the_overlay() -> None:
    for unit in (LIB / "systemd/system").rglob("*.*"):
        if unit.is_file():
            for program in re.findall(
                r"^Exec\w+=(/usr/lib/vedette/\S+)", unit.read_text(encoding="utf-8"), re.MULTILINE
            ):
                path = OVERLAY / program.lstrip("/")
                assert path.is_file(), unit
                assert path.stat().st_mode & 0o111, path


def test_nothing_comes_in_by_the_packet_filter() -> None:
    rules = (OVERLAY / "etc/nftables.conf").read_text(encoding="ascii")
    assert "hook input priority filter; policy drop;" in rules
    assert "hook forward priority filter; policy drop;" in rules
    accepted = [line for line in rules.partition("chain forward")[0].splitlines() if "accept" in line]
    assert not [line for line in accepted if "tcp" in line or "dport 22" in line]


def test_no_path_or_socket_waits_for_what_waits_for_it() -> None:
    """They come before basic.target (systemd.path(5)), and all services after it."""
    for unit in (LIB / "systemd/system").glob("vedette*.path"):
        lines = unit.read_text(encoding="utf-8").splitlines()
        assert not [line for line in lines if line.startswith(("After=", "Requires="))], unit.name
