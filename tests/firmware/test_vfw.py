"""A `.vfw` file: made the same each time, refused with a reason, and a firmware that really runs from a slot."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from appliance.wire import mcu_link, mcu_words
from firmware import vfw
from tests.fakes.supervisor_vm import SupervisorVm
from tests.firmware.test_link_over_pty import KEY, Host, state


def test_the_same_tree_makes_the_same_octets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "two"):
        arguments = ["--board", "simulated", "--release", "0.2.0", "--sources", "--out", str(tmp_path / name)]
        assert vfw.main(arguments) == 0
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert "modules" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["1.2", "1.2.3.4", "1.2.256", "1.2.x", "", "1.2.3\n"])
def test_a_release_that_the_link_cannot_say_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert vfw.main(["--board", "rp2350", "--release", text, "--sources"]) == 1
    assert "three numbers" in capsys.readouterr().err


def test_a_compiler_that_is_not_there_or_fails_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--board", "rp2350", "--release", "0.2.0", "--out", str(tmp_path / "out"), "--mpy-cross"]
    assert vfw.main([*arguments, str(tmp_path / "none")]) == 1
    assert vfw.main([*arguments, "/bin/false"]) == 1
    old = tmp_path / "old"
    old.write_text('#!/bin/sh\nprintf "M\\005" > "$4"\n')
    old.chmod(0o755)
    assert vfw.main([*arguments, str(old)]) == 1
    told = capsys.readouterr().err
    assert [word in told for word in ("No such file", "ended with 1", "version 5 came, 6 was allowed")] == [True] * 3
    assert not (tmp_path / "out").exists()


@pytest.mark.micropython
def test_a_whole_firmware_goes_over_the_link_runs_from_its_slot_and_stays(tmp_path: Path) -> None:
    octets = vfw.pack(mcu_words.BOARDS.index("simulated"), vfw.sources((0, 2, 0), "simulated"))
    with SupervisorVm(tmp_path) as board:
        host = Host(board)
        host.hello(mcu_link.UNPAIRED_KEY)
        host.say(mcu_words.PAIR, KEY)
        welcome = host.hello()
        host.beat()
        host.say(mcu_words.UPGRADE_BEGIN, len(octets), 0, 2, 0, hashlib.sha256(octets).digest())
        for at in range(0, len(octets), welcome.block_bytes):
            host.say(mcu_words.UPGRADE_BLOCK, at, octets[at : at + welcome.block_bytes])
        assert host.say(mcu_words.UPGRADE_END) == (mcu_words.STAGES.index("written"), len(octets))
        seen = board.pass_time(3000)
        assert (seen.restarts, seen.cuts) == (1, 0)
        assert host.hello().firmware_minor == 2
        for _ in range(14):
            assert state(host.beat()) == "UP"
            board.pass_time(5000)
        board.reset()
        welcome = host.hello()
        assert (welcome.firmware_minor, welcome.flags & mcu_words.UPGRADE_ON_TRIAL) == (2, 0)
        # What was good is damaged: five exceptions later the frozen firmware runs again.
        (board.flash / "a" / "supervisor" / "loop.py").write_text("not Python")
        board.may_crash = 5
        board.reset()
        assert board.may_crash == 0
        assert host.hello().firmware_minor == 1
        os.close(host.fd)
