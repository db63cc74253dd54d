"""A box's recovery key: taken from a sensor alone, shown once, in no database, log or answer."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest

from appliance.wire.recovery import KEPT, RECOVERY_PATH, RecoveryKey
from collector_client.__main__ import main
from tests.collector_client.harness import Collector

KEY = RecoveryKey("var", "-".join(["cbdefghi", "jklnrtuv"] * 4))
OTHER = RecoveryKey("var", "-".join(["vvvvvvvv", "jklnrtuv"] * 4))


def waiting(collector: Collector) -> list[Path]:
    return list((collector.directory / "recovery").glob("*"))


def test_a_key_is_shown_once_and_then_forgotten(collector: Collector, capsys: pytest.CaptureFixture[str]) -> None:
    sensor = collector.sensor()
    for key in (OTHER, KEY):
        answer = sensor.request("POST", RECOVERY_PATH, body=key.to_json())
        assert (answer.status, answer.body) == (200, KEPT)
    (path,) = waiting(collector)
    assert path.stat().st_mode & 0o777 == 0o600
    argv = ["recovery-key", str(collector.directory), sensor.sensor_id]
    assert main(argv) == 0
    assert capsys.readouterr().out == f"{KEY.key}\n"
    assert waiting(collector) == []
    assert main([*argv, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["key"] is None
    actions = [row[0] for row in collector.control("SELECT action FROM audit WHERE action LIKE 'recovery%'")]
    assert actions == ["recovery key came", "recovery key came", "recovery key shown"]


def test_a_key_that_could_not_be_printed_waits_on(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the last copy: a pipe that closed must not have taken it."""
    sensor = collector.sensor()
    sensor.request("POST", RECOVERY_PATH, body=KEY.to_json())
    argv = ["recovery-key", str(collector.directory), sensor.sensor_id]
    with open("/dev/full", "w", encoding="ascii") as full, monkeypatch.context() as broken:
        broken.setattr("sys.stdout", full)
        with contextlib.suppress(OSError):
            assert main(argv) != 0
        with contextlib.suppress(OSError):
            full.close()
    assert len(waiting(collector)) == 1
    assert main(argv) == 0


@pytest.mark.parametrize("what", [b"not a key", b""])
def test_what_waits_and_is_no_key_is_named(
    collector: Collector, capsys: pytest.CaptureFixture[str], what: bytes
) -> None:
    sensor = collector.sensor()
    sensor.request("POST", RECOVERY_PATH, body=KEY.to_json())
    (path,) = waiting(collector)
    path.write_bytes(what)
    assert main(["recovery-key", str(collector.directory), sensor.sensor_id]) == 2
    assert f"{path}: no recovery key" in capsys.readouterr().err


def test_the_key_is_in_no_database_and_no_log(collector: Collector, caplog: pytest.LogCaptureFixture) -> None:
    assert collector.sensor().request("POST", RECOVERY_PATH, body=KEY.to_json()).status == 200
    rest = [p for p in collector.directory.rglob("*") if p.is_file() and p.parent.name != "recovery"]
    assert rest
    assert not [path for path in rest if KEY.key.encode() in path.read_bytes()]
    assert KEY.key not in caplog.text


@pytest.mark.parametrize("body", [b"", b"{}", KEY.to_json()[:-1], b" " * 2000])
def test_another_form_is_refused_and_nothing_is_kept(collector: Collector, body: bytes) -> None:
    answer = collector.sensor().request("POST", RECOVERY_PATH, body=body)
    assert (answer.status, answer.code) in [(400, "RECOVERY_KEY_INVALID"), (413, "BODY_TOO_LARGE")]
    assert waiting(collector) == []


def test_who_shows_no_certificate_is_refused(collector: Collector) -> None:
    collector.sensor()
    box = collector.box()
    box.learn_ca()
    answer = box.request("POST", RECOVERY_PATH, body=KEY.to_json())
    assert answer.status == 401
    assert waiting(collector) == []
