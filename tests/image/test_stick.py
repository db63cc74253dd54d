"""The stick's other ways: it is the sensor itself, and it is answered at a screen and keyboard or at a serial line."""

from __future__ import annotations

import json
import os
import re
import threading
from pathlib import Path

import pytest

from image import seat, stick
from image.errors import DrillError
from image.layout import command_line
from image.root import OVERLAY
from tests.image.test_box import STICK, disk, install, part

LIVE_STICK = disk("/dev/sda", tran="usb", size=4 * 10**9, parts=[part("vedette_0.1.0", STICK), part("var", "a-9")])


def disks(*listed: dict) -> list:
    return list(install.parse_disks(json.dumps({"blockdevices": listed})))


@pytest.mark.parametrize(
    "others",
    [
        (),
        (disk("/dev/nvme0n1"),),
        (disk("/dev/nvme0n1", parts=[part("Basic data partition", "c-1")]),),
        (disk("/dev/nvme0n1", parts=[part("vedette_0.1.0", "b-2"), part("var", "b-3")]),),
    ],
    ids=["no disk", "a blank one", "somebody's", "a sensor's"],
)
def test_a_live_sensor_needs_no_disk_and_minds_no_other(others: tuple[dict, ...]) -> None:
    install.may_live(disks(LIVE_STICK, *others), STICK)


@pytest.mark.parametrize(
    ("listed", "named"),
    [
        ([disk("/dev/sda", tran="usb", size=2 * 10**9, parts=[part("ESP", STICK)])], "3 GB or more"),
        ([disk("/dev/nvme0n1")], "not found"),
    ],
    ids=["small stick", "no stick"],
)
def test_a_live_sensor_is_refused_where_it_could_not_keep_its_data(listed: list[dict], named: str) -> None:
    with pytest.raises(install.RefusalError, match=named):
        install.may_live(disks(*listed), STICK)


def test_live_asks_the_boot_loader_for_one_start_and_writes_no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[str, ...]] = []

    def run(*argv: str, check: bool = True) -> str:
        ran.append(argv)
        return "BootCurrent: 0007\nBootOrder: 0001,0007\n" if argv == ("efibootmgr",) else ""

    monkeypatch.setattr(install, "run", run)
    monkeypatch.setattr(install, "TPM", Path("/dev/null"))
    install.live(disks(LIVE_STICK, disk("/dev/nvme0n1")), STICK)
    assert ran == [
        ("bootctl", "set-oneshot", stick.LIVE_ENTRY),
        ("efibootmgr",),
        ("efibootmgr", "--quiet", "--bootnext", "0007"),
    ]


def test_the_stick_starts_its_installer_first_and_the_live_entry_is_the_boxs_own_kernel_file() -> None:
    assert "\ndefault install_*\n" in stick.LOADER_CONF
    assert stick.live_entry("vedette_0.1.0.efi").splitlines()[1] == "efi /installed/EFI/Linux/vedette_0.1.0.efi"
    # Options of an entry would be measured, and the TPM would keep /var closed.
    assert "options" not in stick.live_entry("vedette_0.1.0.efi")
    assert stick.LIVE_ENTRY == install.LIVE_ENTRY


def test_the_kernel_speaks_to_the_screen_and_the_serial_line_is_the_console() -> None:
    words = command_line("0" * 64).split()
    assert [word for word in words if word.startswith("console=")] == ["console=tty0", "console=ttyS0,115200"]


def test_what_the_console_says_is_on_the_screen_and_nobody_can_type_there() -> None:
    system = OVERLAY / "usr/lib/systemd/system"
    screen = (system / "vedette-screen.service").read_text(encoding="utf-8")
    assert "StandardInput=null" in screen
    preset = (OVERLAY / "usr/lib/systemd/system-preset/00-vedette.preset").read_text(encoding="utf-8")
    assert "enable vedette-screen.service" in preset
    assert "getty" not in preset
    # The journal's lines are what the screen shows: a unit that speaks past it would not be seen.
    for unit in sorted(system.rglob("*vedette*")):
        if unit.is_file() and unit.name != "vedette-screen.service":
            assert not re.search(r"^StandardOutput=tty", unit.read_text(encoding="utf-8"), re.MULTILINE), unit.name


def test_the_folder_of_all_units_is_open_to_the_sensors_user_whoever_comes_first() -> None:
    tmpfiles = (OVERLAY / "usr/lib/tmpfiles.d/vedette.conf").read_text(encoding="utf-8")
    assert "d /run/vedette 0755 root root -" in tmpfiles.splitlines()


@pytest.mark.parametrize(
    ("active", "paths"),
    [
        ("tty0 ttyS0\n", ["/dev/tty1", "/dev/ttyS0"]),
        ("tty0\n", ["/dev/tty1"]),
        ("ttyAMA0\n", ["/dev/ttyAMA0"]),
        ("", []),
    ],
)
def test_the_consoles_are_those_that_the_kernel_has(active: str, paths: list[str]) -> None:
    assert [str(path) for path in install.consoles(active)] == paths


@pytest.mark.parametrize("typed_at", [0, 1], ids=["screen", "serial line"])
def test_the_answer_is_heard_at_either_console(typed_at: int) -> None:
    pairs = [os.openpty() for _ in range(2)]
    heard: list[str] = []
    try:
        names = [Path(os.ttyname(slave)) for _, slave in pairs]
        thread = threading.Thread(target=lambda: heard.append(install.first_line(names)))
        thread.start()
        while thread.is_alive():
            # What was typed before the question is not an answer, so it is typed until it is heard.
            os.write(pairs[typed_at][0], b"INSTALL\n")
            thread.join(0.05)
    finally:
        for pair in pairs:
            for descriptor in pair:
                os.close(descriptor)
    assert heard == ["INSTALL"]


def test_a_serial_line_that_is_hung_up_does_not_answer_for_the_screen() -> None:
    (screen, screen_end), (line, line_end) = os.openpty(), os.openpty()
    heard: list[str] = []
    names = [Path(os.ttyname(screen_end)), Path(os.ttyname(line_end))]
    thread = threading.Thread(target=lambda: heard.append(install.first_line(names)))
    thread.start()
    try:
        # ^D is what a reader sees of a line that has ended.
        while thread.is_alive():
            os.write(line, b"\x04")
            os.write(screen, b"yes\n")
            thread.join(0.05)
    finally:
        for descriptor in (screen, screen_end, line, line_end):
            os.close(descriptor)
    assert heard == ["yes"]


def test_where_nobody_can_be_asked_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("INSTALL\n", encoding="ascii")
    for terminals in ([], [tmp_path / "absent"]):
        with pytest.raises(install.RefusalError, match="nobody can be asked"):
            install.first_line(terminals)


def test_a_file_in_the_place_of_a_terminal_is_no_answer(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("INSTALL\n", encoding="ascii")
    with pytest.raises(install.RefusalError, match="nobody can be asked"):
        install.first_line([tmp_path / "file"])


def test_a_text_is_typed_key_by_key() -> None:
    assert seat.keys("No 1\n") == [["shift", "n"], ["o"], ["spc"], ["1"], ["ret"]]


def test_a_dark_screen_is_told_from_a_lit_one() -> None:
    dark = b"P6\n2 2\n255\n" + bytes(12)
    assert seat.lit(dark) == 0
    assert seat.lit(dark[:-1] + b" ") == 1
    for other in (b"", b"P5\n2 2\n255\n" + bytes(4), b"P6\nx 2\n255\n" + bytes(12)):
        with pytest.raises(DrillError):
            seat.lit(other)
