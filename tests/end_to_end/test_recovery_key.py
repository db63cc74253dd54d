"""The whole way of a recovery key: the box hands it over, the operator sees it once, and nothing is left to give."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loop import ROOT, Loop

PCAP = ROOT / "tests" / "traffic" / "pcaps" / "http-probe.pcap"
KEY = "-".join(["cbdefghi", "jklnrtuv"] * 4)

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    """A running collector, and a box whose configuration file knows of none."""
    made = Loop(tmp_path, capture=f"files = [{json.dumps(str(PCAP))}]\nwhen_done = 'exit'")
    made.ask_collector("init", str(made.collector_dir), "--name", "127.0.0.1", "--json")
    made.collector.start()
    made.write_config("", "")
    yield made
    made.close()


def run(package: str, *words: object) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", package, *map(str, words)]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_a_recovery_key_goes_to_the_operator_once(loop: Loop, tmp_path: Path) -> None:
    stick, file = tmp_path / "stick", tmp_path / "var"
    stick.mkdir()
    file.write_text(KEY + "\n", encoding="ascii")
    early = run("appliance", "escrow", "--config", loop.config, file)
    assert early.returncode != 0, "a box that is no sensor hands nothing over"
    assert file.read_text(encoding="ascii") == KEY + "\n"

    place = ("--tenant", "acme", "--site", "north", "--url", f"https://127.0.0.1:{loop.ingest_port}")
    loop.ask_collector("token", "new", str(loop.collector_dir), *place, "--stick", str(stick), "--json")
    done = run("appliance", "setup", "--from", stick, "--config", loop.config, "--json")
    assert done.returncode == 0, done.stderr
    sensor_id = json.loads(done.stdout)["sensor_id"]

    handed = run("appliance", "escrow", "--config", loop.config, file)
    assert handed.returncode == 0, handed.stderr
    assert KEY not in handed.stdout + handed.stderr
    assert file.read_bytes() == b""
    assert run("appliance", "escrow", "--config", loop.config, file).returncode == 0

    shown = run("collector_client", "recovery-key", loop.collector_dir, sensor_id)
    assert (shown.returncode, shown.stdout) == (0, KEY + "\n")
    assert run("collector_client", "recovery-key", loop.collector_dir, sensor_id).returncode == 1


def test_a_file_of_another_form_is_refused_without_telling_it(loop: Loop, tmp_path: Path) -> None:
    file = tmp_path / "var"
    file.write_text("hunter2-hunter2\n", encoding="ascii")
    told = run("appliance", "escrow", "--config", loop.config, file)
    assert told.returncode == 2
    assert "hunter2" not in told.stdout + told.stderr
