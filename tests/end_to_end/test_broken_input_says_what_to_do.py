"""Broken input of every kind at the command line: a line says what came, a line says what to do, and an exit code.

What each part does with broken input inside is tested beside it (spool, decoder, ingest); here it is what a person
sees.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.loop import ROOT, Loop

PCAPS = ROOT / "tests" / "traffic" / "pcaps"
RULES = ROOT / "appliance" / "rules"


def vedette(*args: str | Path) -> subprocess.CompletedProcess[str]:
    """One command, as typed."""
    argv = [sys.executable, "-m", "appliance", *map(str, args)]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


def told(done: subprocess.CompletedProcess[str], code: int, words: Sequence[str]) -> None:
    """It ended with this code, said these words, and showed no traceback."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr + done.stdout, done.stderr + done.stdout


def test_a_file_that_is_no_capture(tmp_path: Path) -> None:
    path = tmp_path / "notes.pcap"
    path.write_text("this is a letter to my aunt, who likes long letters\n" * 10, encoding="utf-8")
    told(vedette("replay", path, "--rules", RULES), 2, [str(path), "pcap"])


def test_an_empty_capture(tmp_path: Path) -> None:
    path = tmp_path / "empty.pcap"
    path.touch()
    told(vedette("replay", path, "--rules", RULES), 2, [str(path)])


def test_a_capture_that_breaks_off_gives_what_is_whole(tmp_path: Path) -> None:
    whole = (PCAPS / "http-probe.pcap").read_bytes()
    path = tmp_path / "cut.pcap"
    path.write_bytes(whole[: len(whole) - 7])
    done = vedette("replay", path, "--rules", RULES, "--home-net", "any")
    told(done, 0, ["warning: ", str(path), "at byte"])
    assert "Shellshock" in done.stdout


def test_a_record_that_claims_to_be_huge(tmp_path: Path) -> None:
    path = tmp_path / "huge.pcap"
    head = (PCAPS / "http-probe.pcap").read_bytes()[:24]
    path.write_bytes(head + struct.pack("<IIII", 1, 0, 0xFFFFFFF0, 0xFFFFFFF0) + b"x" * 100)
    told(vedette("replay", path, "--rules", RULES), 0, ["warning: ", "at byte 24"])


def test_a_rule_file_with_a_broken_rule(tmp_path: Path) -> None:
    path = tmp_path / "local.rules"
    path.write_text(
        'alert tcp any any -> any any (msg:"good"; content:"x"; sid:1;)\n'
        'alert tcp any any -> any any (msg:"bad"; content:"x"; frobnicate:3; sid:2;)\n'
        "alert tcp any any -> any (sid:3;)\n",
        encoding="utf-8",
    )
    told(vedette("rules", "check", path), 1, [f"{path}:2: sid 2: frobnicate", f"{path}:3:", "1 loaded, 2 refused"])
    answer = json.loads(vedette("rules", "check", path, "--json").stdout)
    assert answer["loaded"] == 1
    assert [(r["line"], r["sid"]) for r in answer["refused"]] == [(2, 2), (3, 3)]


@pytest.mark.parametrize("content", [b"\x00\xff" * 1000, b"\x7fELF" + bytes(range(256))])
def test_a_rule_file_that_is_no_text(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "binary.rules"
    path.write_bytes(content)
    told(vedette("rules", "check", path), 1, [f"{path}:1"])


def test_a_rule_file_that_is_not_there(tmp_path: Path) -> None:
    told(vedette("rules", "check", tmp_path / "absent.rules"), 2, ["absent.rules", "paths of the rules"])


def test_a_folder_without_rules(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing for a sensor", encoding="utf-8")
    told(vedette("rules", "check", tmp_path), 2, [str(tmp_path), "no rule came", "*.rules"])


def test_a_mistyped_command_is_told_what_was_meant() -> None:
    told(vedette("repaly", "x.pcap"), 2, ["did you mean replay?", "vedette --help"])
    told(vedette("rules", "chek"), 2, ["did you mean check?", "vedette rules --help"])


def test_no_command_shows_the_commands_and_the_exit_codes() -> None:
    told(vedette(), 2, ["enroll", "replay", "exit codes:"])
    told(vedette("rules"), 2, ["check"])


def test_a_replay_without_alerts_is_not_silent() -> None:
    told(vedette("replay", PCAPS / "http-probe.pcap", "--rules", os.devnull), 0, ["0 alerts from", "with 0 rules"])


def test_a_variable_that_means_nothing() -> None:
    told(vedette("rules", "check", RULES, "--home-net", "10.0.0.0/99"), 2, ["HOME_NET", "10.0.0.0/99"])
    told(vedette("rules", "check", RULES, "--var", "HTTP_PORTS"), 2, ["NAME=VALUE"])


def test_an_output_that_cannot_be_written(tmp_path: Path) -> None:
    args = ("replay", PCAPS / "http-probe.pcap", "--rules", RULES, "--output", tmp_path / "no" / "such" / "folder")
    told(vedette(*args), 4, ["No such file", "--output"])


def test_an_interface_that_does_not_exist(tmp_path: Path) -> None:
    loop = Loop(tmp_path, capture='interfaces = ["nosuch0"]')
    loop.prepare()
    try:
        told(vedette("run", "--config", loop.config), 4, ["nosuch0", "[capture]"])
    finally:
        loop.close()


def test_a_sensor_that_is_not_enrolled(tmp_path: Path) -> None:
    loop = Loop(tmp_path, capture=f'files = ["{PCAPS / "mining.pcap"}"]')
    loop.write_config("0" * 64, "")
    told(vedette("run", "--config", loop.config), 2, ["no certificate", "vedette enroll"])


def test_a_token_used_by_another_sensor(tmp_path: Path) -> None:
    first = Loop(tmp_path / "a", capture="")
    first.prepare()
    try:
        text = first.config.read_text(encoding="utf-8")
        second = tmp_path / "second.toml"
        second.write_text(text.replace(str(tmp_path / "a" / "sensor"), str(tmp_path / "b")), encoding="utf-8")
        told(vedette("enroll", "--config", second), 2, ["used", "token new"])
        other_ca = tmp_path / "other.toml"
        pin = next(line.split('"')[1] for line in text.splitlines() if line.startswith("ca_pin"))
        flipped = ("0" if pin[0] != "0" else "1") + pin[1:]
        other_ca.write_text(
            text.replace(pin, flipped).replace(str(tmp_path / "a" / "sensor"), str(tmp_path / "c")), encoding="utf-8"
        )
        told(vedette("enroll", "--config", other_ca), 3, ["pin", "ca_pin"])
    finally:
        first.close()


def test_nobody_at_the_collectors_address(tmp_path: Path) -> None:
    loop = Loop(tmp_path, capture="")
    loop.write_config("0" * 64, "t-abcdefghijkl." + "x" * 43)
    told(vedette("enroll", "--config", loop.config), 3, ["127.0.0.1", "check the address"])
