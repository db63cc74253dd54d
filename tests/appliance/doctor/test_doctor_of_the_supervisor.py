"""The doctor and the supervisor, at a real terminal device with the firmware's own code at the other end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.clock import SystemClock
from appliance.config import Config
from appliance.config.sections import IdentitySection, SensorSection, SupervisorSection
from appliance.doctor import Patient, State
from appliance.doctor.checks.supervisor import check
from appliance.mcu import SerialPort
from tests.fakes.serial_line import SerialLine
from tests.fakes.virtual_board import VirtualBoard

KEY = bytes(range(32))


@pytest.fixture
def line(tmp_path: Path) -> Iterator[SerialLine]:
    with SerialLine(VirtualBoard(is_paired=True, key=KEY), tmp_path / "port") as made:
        yield made


@pytest.fixture
def patient(tmp_path: Path, line: SerialLine) -> Patient:
    key = tmp_path / "state" / "supervisor" / "link.key"
    key.parent.mkdir(parents=True)
    key.touch(mode=0o600)
    key.write_bytes(KEY)
    config = Config(
        sensor=SensorSection(state_dir=str(tmp_path / "state")),
        identity=IdentitySection(key_store="software"),
        supervisor=SupervisorSection(port=str(line.path)),
    )
    return Patient(config, SystemClock())


def test_a_supervisor_that_listens_is_well_and_was_told_of_no_health(patient: Patient, line: SerialLine) -> None:
    found = check(patient)
    assert (found.state, found.advice) == (State.OK, "")
    assert "last reset: power-on" in found.text
    assert isinstance(line.board, VirtualBoard)
    assert line.board.state == "BOOT"


def test_a_board_with_another_key_is_a_warning_with_what_to_do(patient: Patient, line: SerialLine) -> None:
    line.board = VirtualBoard(is_paired=True, key=b"\1" * 32)
    found = check(patient)
    assert found.state is State.WARNING
    assert "another key" in found.text
    assert "vedette supervisor info" in found.advice


def test_a_key_that_others_may_read_is_a_warning(patient: Patient, tmp_path: Path) -> None:
    (tmp_path / "state" / "supervisor" / "link.key").chmod(0o644)
    found = check(patient)
    assert found.state is State.WARNING
    assert "0600 was allowed" in found.text


def test_a_port_that_the_daemon_has_is_left_to_it(patient: Patient, line: SerialLine) -> None:
    port = SerialPort(str(line.path))
    found = check(patient)
    assert found.state is State.SKIPPED
    assert "vedette status" in found.text
    port.close()


def test_a_box_without_a_board_is_not_ill(patient: Patient, line: SerialLine) -> None:
    line.unplug()
    assert check(patient).state is State.SKIPPED
