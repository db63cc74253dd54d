"""The supervisor's board in the image: its name, who may use its port, and who lets go of it when."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path

import pytest

from image.root import _MODULES, OVERLAY
from tests.image.test_box import install, program

LIB = OVERLAY / "usr/lib"
UNITS = LIB / "systemd/system"
WAIT = "vedette-supervisor.service"
boot_health = program("boot_health")


def unit(name: str) -> str:
    return (UNITS / name).read_text(encoding="utf-8")


def rules() -> list[str]:
    text = (LIB / "udev/rules.d/90-vedette-supervisor.rules").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_the_rule_names_usb_ports_only_and_wants_a_unit_that_is_there() -> None:
    text = "\n".join(rules())
    assert "ttyS" not in text
    assert re.findall(r'KERNEL[!=]="([^"]+)"', text) == ["ttyUSB*|ttyACM*", "ttyUSB*"]
    assert 'SYMLINK+="vedette-supervisor"' in text
    (wanted,) = re.findall(r'ENV\{SYSTEMD_WANTS\}\+="([^"]+)"', text)
    assert wanted == WAIT
    assert (UNITS / wanted).is_file()


def test_labels_of_the_rule_are_there() -> None:
    text = "\n".join(rules())
    (label,) = re.findall(r'LABEL="(\w+)"', text)
    assert set(re.findall(r'GOTO="(\w+)"', text)) == {label}


@pytest.mark.parametrize("name", ["vedette.service", WAIT])
def test_who_uses_the_port_may(name: str) -> None:
    text = unit(name)
    assert "SupplementaryGroups=tss dialout\n" in text
    assert "DevicePolicy=closed\n" in text
    allowed = set(re.findall(r"^DeviceAllow=(\S+) rw$", text, re.MULTILINE))
    assert allowed == {"/dev/tpmrm0", "/dev/vedette-supervisor", "char-ttyUSB", "char-ttyACM"}


def test_the_drivers_of_these_kinds_are_loaded_before_anybody_is_allowed_them() -> None:
    text = (LIB / "modules-load.d/vedette-supervisor.conf").read_text(encoding="ascii")
    assert [line for line in text.splitlines() if not line.startswith("#")] == ["usbserial", "cdc_acm"]
    assert not [cut for cut in _MODULES if cut.startswith(("drivers/usb", "drivers/tty"))]


def test_the_sensor_takes_the_port_over_and_no_board_can_end_the_sensor() -> None:
    sensor, wait = unit("vedette.service"), unit(WAIT)
    assert sensor.index(f"systemctl stop {WAIT}") < sensor.index("ExecStart=/usr/bin/vedette run")
    assert "ConditionPathExists=!/var/lib/vedette/identity/ca.pem\n" in wait
    assert "ConditionPathExists=/var/lib/vedette/identity/ca.pem\n" in sensor
    # A conflict works in both directions: a board that is plugged in again would stop the sensor.
    assert re.findall(r"^Conflicts=(.*)$", sensor + wait, re.MULTILINE) == ["shutdown.target"]


def test_a_crash_is_told_to_a_board_and_costs_a_box_without_one_nothing() -> None:
    posts = re.findall(r"^ExecStopPost=(.*)$", unit("vedette.service"), re.MULTILINE)
    assert len(posts) == 2
    assert "/run/vedette-sensor/ended" in posts[0], "what the next one tells is written first"
    assert posts[1].startswith("-")
    assert posts[1].index("! -e /dev/vedette-supervisor") < posts[1].index("vedette supervisor restarting")


def test_the_button_answers_for_the_console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "BOARD", tmp_path)
    pressed = tmp_path / "pressed"
    heard: list[str] = []
    thread = threading.Thread(target=lambda: heard.append(install.first_line([], pressed)))
    thread.start()
    assert thread.is_alive(), "nobody has pressed"
    pressed.touch()
    thread.join(60)
    assert heard == ["INSTALL"]


def test_a_press_before_the_question_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    active = tmp_path / "active"
    active.write_text("", encoding="ascii")
    pressed = tmp_path / "pressed"
    pressed.touch()
    monkeypatch.setattr(install, "CONSOLES", active)
    monkeypatch.setattr(install, "PRESSED", pressed)
    monkeypatch.setattr(install, "BOARD", tmp_path / "absent")
    with pytest.raises(install.RefusalError, match="nobody can be asked"):
        install.confirmed(install.Disk("/dev/x", 10**10, "nvme"))
    assert not pressed.exists()


def test_the_unit_and_the_installer_mean_the_same_file() -> None:
    assert f"--pressed {install.PRESSED}\n" in unit(WAIT)
    assert f"RuntimeDirectory={install.PRESSED.parent.name}\n" in unit(WAIT)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            {"state": "up", "says": "hears healthy beats", "last_reset": "beats-stopped"},
            "up: hears healthy beats; last reset: beats-stopped",
        ),
        ({"state": "silent", "says": "nobody answers", "last_reset": ""}, "silent: nobody answers"),
        (None, "unknown: no answer"),
    ],
)
def test_the_console_hears_what_the_board_of_a_box_that_watches_says(
    said: dict | None, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = boot_health.subprocess.CompletedProcess((), 0, json.dumps(said) if said else "", "")
    monkeypatch.setattr(boot_health, "BOARD", tmp_path)
    monkeypatch.setattr(boot_health, "BOARD_AGAIN_S", 0)
    monkeypatch.setattr(boot_health, "enrolled", lambda: True)
    monkeypatch.setattr(boot_health, "_run", lambda *_: ended)
    boot_health.tell_board()
    assert capsys.readouterr().out == f"VEDETTE supervisor: {told}\n"


def test_a_box_without_a_board_asks_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(boot_health, "BOARD", tmp_path / "absent")
    monkeypatch.setattr(boot_health, "enrolled", lambda: True)
    monkeypatch.setattr(boot_health, "_run", lambda *_: pytest.fail("asked"))
    boot_health.tell_board()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("held_at", "asked"), [(1, 1), (2, 2), (9, 3)], ids=["at once", "port busy", "silent"])
def test_a_sensor_that_is_not_up_is_judged_before_the_board_judges(
    held_at: int, asked: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    holds: list[tuple[str, ...]] = []
    now_s = iter(range(1000))

    def run(*argv: str) -> object:
        if argv[0] == "systemctl":
            return boot_health.subprocess.CompletedProcess(argv, 3, "activating\n", "")
        holds.append(argv)
        return boot_health.subprocess.CompletedProcess(argv, 0 if len(holds) == held_at else 3, "", "")

    monkeypatch.setattr(boot_health, "BOARD", tmp_path)
    monkeypatch.setattr(boot_health, "enrolled", lambda: True)
    monkeypatch.setattr(boot_health, "_run", run)
    monkeypatch.setattr(boot_health.time, "monotonic", lambda: next(now_s))
    monkeypatch.setattr(boot_health.time, "sleep", lambda _: None)
    assert boot_health.sensor_runs() == "vedette.service is activating"
    assert holds == [("vedette", "supervisor", "hold", "300", "service")] * asked
