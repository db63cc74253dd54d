"""`vedette supervisor` without a daemon, at a real terminal device with the firmware's own code at the other end."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.cli.main import main
from appliance.wire import mcu_words as words
from tests.fakes.board import Board
from tests.fakes.serial_line import SerialLine
from tests.fakes.swtpm import Swtpm
from tests.fakes.virtual_board import VirtualBoard

Run = Callable[..., tuple[int, str, str]]
SIMULATED = words.BOARDS.index("simulated")


@pytest.fixture
def line(tmp_path: Path) -> Iterator[SerialLine]:
    with SerialLine(VirtualBoard(is_paired=False), tmp_path / "port") as made:
        yield made


@pytest.fixture
def run(tmp_path: Path, line: SerialLine, capsys: pytest.CaptureFixture[str]) -> Run:
    config = tmp_path / "vedette.toml"
    config.write_text(
        f'[sensor]\nstate_dir = "{tmp_path / "state"}"\n[identity]\nkey_store = "software"\n'
        f'[supervisor]\nport = "{line.path}"\n',
        encoding="utf-8",
    )

    def command(action: str, *words_: str) -> tuple[int, str, str]:
        code = main(["supervisor", action, "--config", str(config), *words_])
        said = capsys.readouterr()
        return code, said.out, said.err

    return command


def board_of(line: SerialLine) -> VirtualBoard:
    assert isinstance(line.board, VirtualBoard)
    return line.board


def test_a_pair_is_made_once_and_both_sides_name_the_same_key(run: Run, line: SerialLine) -> None:
    code, out, _ = run("info")
    assert code == 1
    assert "unpaired" in out
    first, again = run("pair", "--json"), run("pair", "--json")
    assert (first[0], again[0]) == (0, 0)
    made, kept = json.loads(first[1]), json.loads(again[1])
    assert (made["paired_now"], kept["paired_now"]) == (True, False)
    assert made["fingerprint"] == kept["fingerprint"]
    assert board_of(line).bench.supervisor.pairing.is_paired


def test_info_shows_what_the_supervisor_says_and_feeds_nothing(run: Run, line: SerialLine) -> None:
    run("pair")
    code, out, _ = run("info", "--json")
    said = json.loads(out)
    assert code == 0
    assert (said["state"], said["last_reset"], said["board"]) == ("boot", "power-on", "simulated")
    assert (said["voltage_mv"], said["temperature_c"]) == (5000, 40.0)
    assert board_of(line).state == "BOOT", "nobody said that the box is well"
    assert re.search(r"^voltage_mv +5000$", run("info")[1], re.MULTILINE)


def test_a_hold_is_asked_for_and_ended(run: Run, line: SerialLine) -> None:
    run("pair")
    code, out, err = run("hold", "7200", "service")
    assert (code, out) == (0, "held for 3600 s from now\n")
    assert "7200 s were asked for" in err
    assert board_of(line).state == "HOLD"
    assert run("hold", "0", "service")[:2] == (0, "not held any more\n")
    assert board_of(line).state != "HOLD"


def test_a_hold_too_soon_after_another_is_refused_with_what_to_do(run: Run) -> None:
    run("pair")
    run("hold", "60", "service")
    run("hold", "0", "service")
    code, _, err = run("hold", "60", "service")
    assert code == 3
    assert "not-now" in err
    assert run("info")[0] == 0, "a refusal leaves the port free"
    assert "vedette supervisor info" in err


def test_restarting_gives_the_time_of_a_boot(run: Run, line: SerialLine) -> None:
    run("pair")
    board = board_of(line)
    board.bench.supervisor.happen(6)  # a healthy beat
    assert board.state == "UP"
    code, _, err = run("restarting")
    assert code == 0
    assert "supervisor boot" in err
    assert board.state == "BOOT"


def firmware(name: bytes = b"supervisor/policy.py", board: int = SIMULATED, size: int = 3000) -> bytes:
    body = bytes(index % 97 for index in range(size))
    return b"VFW1" + struct.pack(">BBHB", 6, board, 1, len(name)) + name + struct.pack(">I", size) + body


def test_a_firmware_goes_into_the_spare_slot_and_starts_on_trial(run: Run, line: SerialLine, tmp_path: Path) -> None:
    run("pair")
    file = tmp_path / "supervisor-9.8.7.vfw"
    file.write_bytes(firmware())
    code, out, err = run("update", str(file))
    assert (code, out) == (0, "firmware 9.8.7 is written and starts on trial\n"), err
    bench = board_of(line).bench
    assert bench.board.folder.files["a/supervisor/policy.py"] == bytes(index % 97 for index in range(3000))
    board_of(line).pass_s(3)
    assert bench.trial.on_trial, "it has started anew, on trial"
    assert "upgrade on trial" in json.loads(run("info", "--json")[1])["flags"]


@pytest.mark.parametrize(
    ("data", "code", "said"),
    [
        (firmware(board=words.BOARDS.index("rp2350")), 2, "for rp2350 came, one for simulated"),
        (firmware(name=b"../../boot.py"), 3, "ended as damaged"),
        (firmware() + b"x", 3, "ended as damaged"),
        (b"UF2\n" + bytes(512), 2, "VFW1"),
    ],
    ids=["another board", "out of its slot", "too long", "no firmware"],
)
def test_a_firmware_that_is_none_changes_nothing(
    run: Run, line: SerialLine, tmp_path: Path, data: bytes, code: int, said: str
) -> None:
    run("pair")
    file = tmp_path / "supervisor-9.8.7.vfw"
    file.write_bytes(data)
    ended = run("update", str(file))
    assert ended[0] == code
    assert said in ended[2]
    assert not board_of(line).bench.trial.on_trial
    assert [name for name in board_of(line).bench.board.folder.files if name.startswith("a/")] == []


def test_a_missing_file_and_a_missing_port_are_told_with_what_to_do(run: Run, line: SerialLine, tmp_path: Path) -> None:
    assert run("update", str(tmp_path / "none.vfw"))[0] == 2
    line.unplug()
    for action in ("info", "pair", "restarting"):
        code, _, err = run(action)
        assert code == 4
        assert "is the supervisor's board connected?" in err
    line.plug()


def test_a_board_with_another_boxs_key_is_not_paired_again(run: Run, line: SerialLine) -> None:
    line.board = Board(key=b"\7" * 32)
    code, _, err = run("pair")
    assert code == 3
    assert "another box" in err


def test_a_board_without_a_spare_slot_is_sent_nothing(run: Run, line: SerialLine, tmp_path: Path) -> None:
    run("pair")
    board = board_of(line).bench.board
    board.features = words.HAS_SENSORS
    file = tmp_path / "supervisor-9.8.7.vfw"
    file.write_bytes(firmware())
    code, _, err = run("update", str(file))
    assert code == 3
    assert "takes no firmware over the link" in err


@pytest.mark.tpm
def test_with_a_tpm_a_box_whose_disk_is_empty_still_has_its_supervisor(
    run: Run, line: SerialLine, tmp_path: Path, tpm: Swtpm
) -> None:
    config = tmp_path / "vedette.toml"
    text = config.read_text(encoding="utf-8").replace('"software"', f'"tpm"\ntcti = "{tpm.tcti}"')
    config.write_text(text, encoding="utf-8")
    made: dict[str, Any] = json.loads(run("pair", "--json")[1])
    assert made["paired_now"]
    config.write_text(text.replace('/state"', '/another"'), encoding="utf-8")
    kept = json.loads(run("pair", "--json")[1])
    assert (kept["paired_now"], kept["fingerprint"]) == (False, made["fingerprint"])
    assert not (tmp_path / "state" / "supervisor").exists()
