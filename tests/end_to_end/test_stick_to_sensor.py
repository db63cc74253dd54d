"""The whole way of a stick: the provider writes it, a box reads it and becomes a sensor, a second box is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loop import ROOT, Loop

PCAP = ROOT / "tests" / "traffic" / "pcaps" / "http-probe.pcap"

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


def vedette(*words: object) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "appliance", *map(str, words)]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_a_stick_makes_one_box_a_sensor_whose_alerts_arrive(loop: Loop, tmp_path: Path) -> None:
    stick, copy = tmp_path / "stick", tmp_path / "copy"
    stick.mkdir()
    place = ("--tenant", "acme", "--site", "north", "--by", "ann")
    url = ("--url", f"https://127.0.0.1:{loop.ingest_port}")
    made = loop.ask_collector("token", "new", str(loop.collector_dir), *place, *url, "--stick", str(stick), "--json")
    shutil.copytree(stick, copy)

    checked = vedette("setup", "--from", stick, "--check", "--json")
    assert (checked.returncode, json.loads(checked.stdout)["token_id"]) == (0, made["token_id"])
    done = vedette("setup", "--from", stick, "--config", loop.config, "--json")
    assert done.returncode == 0, done.stderr
    sensor_id = json.loads(done.stdout)["sensor_id"]
    (row,) = loop.ask_collector("token", "list", str(loop.collector_dir), "--json")
    assert (row["state"], row["used_by"], row["made_by"]) == ("used", sensor_id, "ann")
    (sensor,) = loop.ask_collector("sensors", str(loop.collector_dir), "--json")
    assert (sensor["sensor_id"], sensor["tenant"], sensor["site"]) == (sensor_id, "acme", "north")

    text = (stick / "vedette-setup.toml").read_text()
    assert f'sensor = "{sensor_id}"' in text
    secret = (copy / "vedette-setup.toml").read_text().partition('token = "')[2].partition('"')[0].partition(".")[2]
    assert len(secret) > 30
    assert secret not in text
    checked = vedette("setup", "--from", stick, "--check", "--json")
    assert (checked.returncode, json.loads(checked.stdout)["used_by"]) == (1, sensor_id)

    other = tmp_path / "other.toml"
    other.write_text(loop.config.read_text().replace(str(loop.folder / "sensor"), str(tmp_path / "other")))
    second = vedette("setup", "--from", stick, "--config", other)
    assert (second.returncode, f"was used by {sensor_id}" in second.stderr) == (2, True)
    third = vedette("setup", "--from", copy, "--config", other)
    assert (third.returncode, "TOKEN_USED" in third.stderr) == (2, True)

    ran = vedette("run", "--config", loop.config)
    assert ran.returncode == 0, ran.stderr
    assert {alert["sensor_id"] for alert in loop.alerts()} == {sensor_id}
