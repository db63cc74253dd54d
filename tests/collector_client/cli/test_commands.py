"""The commands do what their help says, in one process, on real folders; mistakes end in a sentence and a number."""

from __future__ import annotations

import hashlib
import importlib
import json
import sqlite3
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from appliance.wire.heartbeat import Heartbeat, HostHealth, SpoolHealth, SupervisorHealth
from appliance.wire.session import BatchHeader
from collector_client.cli import build_parser, main
from collector_client.config import load_config
from tests.collector_client.harness import Collector
from tests.fakes.sensor import FakeSensor, document, event


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    made = Collector(tmp_path / "collector").start()
    yield made
    made.stop()


@pytest.fixture
def sensor(collector: Collector) -> FakeSensor:
    """One with three alerts, the second refused."""
    box = collector.sensor(tenant="acme", site="north")
    body = document([event(1), event(2), event(3, text="[red]scan[/red]")]).replace(b'dport="4002"', b'dport="99999"')
    box.send_document(body, BatchHeader(7, 1, 3, "0" * 64))
    return box


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command: its exit code, standard output and standard error."""

    def go(*argv: object) -> tuple[int, str, str]:
        code = main([str(word) for word in argv])
        return (code, *capsys.readouterr())

    return go


Run = Callable[..., tuple[int, str, str]]


def test_init_prints_the_pin_and_the_next_step(run: Run, tmp_path: Path) -> None:
    code, out, err = run("init", tmp_path / "c", "--name", "collector.example.net", "--port", "443")
    assert code == 0
    assert "CA pin: " in out
    assert "vedette-collector serve" in err
    assert 'listen = "0.0.0.0:443"' in (tmp_path / "c" / "collector.toml").read_text()


def test_production_is_said_at_init_and_with_the_sensors_and_marks_keys_in_files(
    run: Run, tmp_path: Path, collector: Collector, sensor: FakeSensor
) -> None:
    _, out, _ = run("init", tmp_path / "p", "--name", "collector.example.net", "--production")
    assert "production: keys in hardware only" in out
    assert load_config(tmp_path / "p").collector.production
    assert "trial: keys in software" in run("sensors", collector.directory)[2]
    path = collector.directory / "collector.toml"
    path.write_text(path.read_text().replace("# production = false", "production = true"))
    _, out, err = run("sensors", collector.directory)
    assert "mode: production" in err
    assert "software, refused" in out


def test_init_never_overwrites(run: Run, collector: Collector) -> None:
    before = {path: path.read_bytes() for path in (collector.directory / "pki").iterdir()}
    code, _, err = run("init", collector.directory)
    assert code == 2
    assert "nothing was changed" in err
    assert before == {path: path.read_bytes() for path in (collector.directory / "pki").iterdir()}


@pytest.mark.parametrize(
    "words",
    [
        ("init", "DIR", "--name", "no such name"),
        ("init", "DIR", "--port", "70000"),
        ("serve", "DIR"),
        ("token", "new", "DIR", "--tenant", "a", "--site", "b"),
        ("token", "new", "DIR", "--tenant", "a", "--site", "b", "--expires", "soon"),
        ("revoke", "DIR", "nobody"),
        ("alerts", "DIR", "--since", "yesterday"),
        ("backup", "DIR", "FILE"),
        ("restore", "DIR", "FILE"),
    ],
)
def test_what_cannot_be_used_ends_in_a_sentence_and_a_number(run: Run, tmp_path: Path, words: tuple[str, ...]) -> None:
    code, out, err = run(*(str(tmp_path / "none" / word.lower()) if word.isupper() else word for word in words))
    assert code in (2, 4)
    assert err.startswith("vedette-collector: ")
    assert "Traceback" not in err + out


def test_a_token_is_shown_once_and_listed_without_its_secret(run: Run, collector: Collector) -> None:
    _, out, _ = run(
        "token", "new", collector.directory, "--tenant", "acme", "--site", "north", "--expires", "7d", "--json"
    )
    made = json.loads(out)
    assert made["ca_pin"] == collector.pin
    box = collector.box()
    assert box.enroll(made["token"]).status == 200
    _, listed, _ = run("token", "list", collector.directory, "--json")
    (row,) = json.loads(listed)
    assert (row["state"], row["used_by"], row["token_id"]) == ("used", box.sensor_id, made["token_id"])
    assert made["token"].split(".")[1] not in listed + run("token", "list", collector.directory)[1]


def test_a_token_that_goes_on_with_a_sensor_takes_where_from_its_record(
    run: Run, collector: Collector, sensor: FakeSensor
) -> None:
    code, out, err = run("token", "new", collector.directory, "--for", sensor.sensor_id)
    assert code == 0
    assert f"goes on with {sensor.sensor_id} of acme/north" in err
    assert "for any box" in err
    box = collector.box()
    assert box.enroll(out.split()[1]).status == 200
    (row, _) = json.loads(run("token", "list", collector.directory, "--json")[1])
    assert (row["for_sensor"], row["used_by"]) == (sensor.sensor_id, sensor.sensor_id)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "neither --tenant and --site nor --for"),
        (("--tenant", "a"), "neither --tenant and --site nor --for"),
        (("--for", "s-aaaaaaaaaaaaaaaaaaaa"), "has no record here"),
        (("--for", "me"), "sensor id"),
        (("--for", "SENSOR", "--site", "b"), "--for came with"),
        (("--for", "SENSOR", "--other-box", "--ek", "ab" * 32), "--other-box came with --ek"),
        (("--for", "SENSOR", "--other-box", "--key", "ab" * 32), "--other-box came with --ek or --key"),
        (("--tenant", "a", "--site", "b", "--other-box"), "--other-box came without --for"),
    ],
)
def test_whose_a_token_is_must_be_said_once(
    run: Run, collector: Collector, sensor: FakeSensor, words: tuple[str, ...], said: str
) -> None:
    words = tuple(sensor.sensor_id if word == "SENSOR" else word for word in words)
    before = collector.control("SELECT COUNT(*) FROM tokens")
    code, _, err = run("token", "new", collector.directory, *words)
    assert code in (2, 4)
    assert said in err
    assert collector.control("SELECT COUNT(*) FROM tokens") == before


def test_sensors_show_state_and_assurance(run: Run, collector: Collector, sensor: FakeSensor) -> None:
    (row,) = json.loads(run("sensors", collector.directory, "--json")[1])
    assert (row["sensor_id"], row["assurance"], row["state"]) == (sensor.sensor_id, "software", "on time")
    table = run("sensors", collector.directory)[1]
    assert sensor.sensor_id in table
    assert "software" in table


def test_sensors_show_why_a_box_was_last_started(run: Run, collector: Collector, sensor: FakeSensor) -> None:
    supervisor = SupervisorHealth("up", "beats-stopped", 1, "1.0.0", 41.0, 12_000)
    spool = SpoolHealth(7, 5, 4, 1000)
    beat = Heartbeat(2, 1, "0.1.0", HostHealth(1.0, 0.1, 20.0, 30.0, 10**9), spool, supervisor=supervisor)
    sensor.heartbeat(beat.to_json())
    assert "beats-stopped" in run("sensors", collector.directory)[1]
    (row,) = json.loads(run("sensors", collector.directory, "--json")[1])
    assert row["health"]["supervisor"]["voltage_mv"] == 12_000


def test_sensors_say_who_is_in_quarantine_why_and_the_way_out(
    run: Run, collector: Collector, sensor: FakeSensor
) -> None:
    assert sensor.send([event(1, text="something else")]).code == "SEQUENCE_FORK"
    _, table, hints = run("sensors", collector.directory)
    assert "quarantined" in table
    assert f"{sensor.sensor_id} is in quarantine: its sequence forked" in hints
    assert f"vedette-collector release {collector.directory} {sensor.sensor_id}" in hints
    (row,) = json.loads(run("sensors", collector.directory, "--json")[1])
    assert (row["state"], row["quarantine_reason"][:19]) == ("quarantined", "its sequence forked")


def test_alerts_are_listed_filtered_and_never_read_as_markup(
    run: Run, collector: Collector, sensor: FakeSensor
) -> None:
    rows = json.loads(run("alerts", collector.directory, "--json")[1])
    assert [row["seq"] for row in rows] == [3, 1]
    assert {row["assurance"] for row in rows} == {"software"}
    table = run("alerts", collector.directory)[1]
    assert "[red]scan[/red]" in table
    assert table.count(" software ") == 2
    for words, count in (
        (("--text", "probe"), 1),
        (("--tenant", "acme"), 2),
        (("--tenant", "umbrella"), 0),
        (("--src", "192.0.2.1"), 2),
        (("--sid", "1"), 0),
        (("--since", "2020-01-01T00:00:00Z"), 2),
        (("--since", "1h"), 0),
        (("--limit", "1"), 1),
    ):
        assert len(json.loads(run("alerts", collector.directory, "--json", *words)[1])) == count


def test_a_revoked_sensor_is_refused_and_shown_so(run: Run, collector: Collector, sensor: FakeSensor) -> None:
    assert run("revoke", collector.directory, sensor.sensor_id, "--reason", "stolen")[0] == 0
    assert sensor.send([event(4)]).code == "SENSOR_REVOKED"
    (row,) = json.loads(run("sensors", collector.directory, "--json")[1])
    assert (row["state"], row["revoked_reason"]) == ("revoked", "stolen")


def test_verify_finds_a_whole_store_whole(run: Run, collector: Collector, sensor: FakeSensor) -> None:
    code, out, _ = run("verify", collector.directory)
    assert (code, "2 alerts and 1 refused events in 1 months: 0 damaged" in out) == (0, True), out


FORGED = "CAST(replace(CAST(xml AS TEXT), '192.0.2.1', '192.0.2.7') AS BLOB)"
DAMAGE = {
    "a changed byte": f"UPDATE evidence SET xml = {FORGED}",  # noqa: S608
    "a changed byte with a digest to match": f"UPDATE evidence SET xml = {FORGED}, sha256 = digest({FORGED})",  # noqa: S608
    "a row that says other than its element": "UPDATE alerts SET src_ip = '203.0.113.9' WHERE seq = 1",
    "an element taken out": "DELETE FROM evidence WHERE alert_id = (SELECT MIN(alert_id) FROM evidence)",
    "a number that never came": "UPDATE alerts SET seq = 77 WHERE seq = 1",
    "a changed refused event": "UPDATE quarantine SET data = CAST('x' AS BLOB)",
}


@pytest.mark.parametrize("what", DAMAGE)
def test_verify_finds(run: Run, collector: Collector, sensor: FakeSensor, what: str) -> None:
    collector.stop()
    (month,) = collector.directory.glob("alerts-*.db")
    connection = sqlite3.connect(month)
    connection.create_function("digest", 1, lambda data: hashlib.sha256(data).digest())
    assert connection.execute(DAMAGE[what]).rowcount >= 1
    connection.commit()
    connection.close()
    code, out, _ = run("verify", collector.directory, sensor.sensor_id)
    assert code == 1
    assert "damage: alerts-" in out


def test_verify_finds_a_gap_and_an_audit_row_that_was_changed(
    run: Run, collector: Collector, sensor: FakeSensor
) -> None:
    sensor.send([event(9)])
    collector.stop()
    connection = sqlite3.connect(collector.directory / "control.db")
    connection.execute("DROP TRIGGER audit_keeps_text")
    connection.execute("UPDATE audit SET detail = 'nothing' WHERE audit_id = 1")
    connection.commit()
    connection.close()
    code, out, _ = run("verify", collector.directory, "--json")
    report = json.loads(out)["report"]
    assert code == 1
    assert report["gaps"] == [[sensor.sensor_id, 7, 4, 8]]
    assert "audit row 1" in report["damage"][0]


def test_a_backup_made_while_it_runs_becomes_the_same_collector(
    run: Run, collector: Collector, sensor: FakeSensor, tmp_path: Path
) -> None:
    assert run("backup", collector.directory, tmp_path / "b.tar")[0] == 0
    assert (tmp_path / "b.tar").stat().st_mode & 0o777 == 0o600
    sensor.send([event(4)])
    assert run("restore", tmp_path / "again", tmp_path / "b.tar")[0] == 0
    assert run("verify", tmp_path / "again")[0] == 0
    rows = json.loads(run("alerts", tmp_path / "again", "--json")[1])
    assert [row["seq"] for row in rows] == [3, 1]
    collector.stop()
    restored = Collector(tmp_path / "again").start()
    try:
        sensor.disconnect()
        sensor.port = int(restored.address.rpartition(":")[2])
        assert sensor.send([event(4), event(5)]).receipt.stored_to == 5
        sensor.disconnect()
    finally:
        restored.stop()


def test_nobody_writes_between_the_copies_that_must_agree(
    run: Run, collector: Collector, sensor: FakeSensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = []
    module = importlib.import_module("collector_client.care.backup")
    copy = module._copy

    def watched(source: sqlite3.Connection, path: Path) -> None:
        control = sqlite3.connect(collector.directory / "control.db", timeout=0, isolation_level=None)
        with closing(control) as other, pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        copied.append(path.name)
        copy(source, path)

    monkeypatch.setattr(module, "_copy", watched)
    assert run("backup", collector.directory, tmp_path / "b.tar")[0] == 0
    assert copied[-1] == "control.db"
    assert copied[0].startswith("alerts-")
    assert sensor.send([event(4)]).status == 200


def test_a_backup_overwrites_nothing_and_restore_neither(
    run: Run, collector: Collector, sensor: FakeSensor, tmp_path: Path
) -> None:
    run("backup", collector.directory, tmp_path / "b.tar")
    assert run("backup", collector.directory, tmp_path / "b.tar")[0] == 2
    assert run("restore", collector.directory, tmp_path / "b.tar")[0] == 2


def test_a_cut_or_changed_backup_makes_no_collector(
    run: Run, collector: Collector, sensor: FakeSensor, tmp_path: Path
) -> None:
    run("backup", collector.directory, tmp_path / "b.tar")
    whole = (tmp_path / "b.tar").read_bytes()
    middle = len(whole) // 2
    for number, damaged in enumerate((b"", whole[:700], whole[:middle], whole[:middle] + b"\1" + whole[middle + 1 :])):
        (tmp_path / "bad.tar").write_bytes(damaged)
        code, _, err = run("restore", tmp_path / f"r{number}", tmp_path / "bad.tar")
        assert (code, err.startswith("vedette-collector: ")) == (2, True), err
        assert not (tmp_path / f"r{number}").exists()


def test_a_backup_with_a_foreign_name_is_refused(run: Run, tmp_path: Path) -> None:
    for name in ("../evil", "/etc/passwd", "pki/../../evil", "control.db.sh"):
        manifest = json.dumps({"format": 1, "sha256": {name: "0" * 64}}).encode()
        with tarfile.open(tmp_path / "evil.tar", "w") as archive:
            for member, data in (("manifest.json", manifest), (name, b"x")):
                path = tmp_path / "member"
                path.write_bytes(data)
                archive.add(path, member)
        assert run("restore", tmp_path / "r", tmp_path / "evil.tar")[0] == 2
        assert not (tmp_path / "r").exists()
        assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("words", [(), ("sensor",), ("token",), ("token", "nwe"), ("alerts", "--limit", "many")])
def test_a_wrong_command_line_ends_with_2_and_says_where_help_is(
    capsys: pytest.CaptureFixture[str], words: Any
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert "--help explains" in err or "show this help message" in err
    assert ("did you mean" in err) == (words in {("sensor",), ("token", "nwe")})


@pytest.mark.parametrize(
    "words", [("sensors", "DIR"), ("alerts", "DIR"), ("token", "list", "DIR"), ("verify", "DIR"), ("serve", "DIR")]
)
def test_a_folder_that_is_no_collector_is_the_operators_to_mend(
    run: Run, tmp_path: Path, words: tuple[str, ...]
) -> None:
    code, _, err = run(*(tmp_path / "mistyped" if word == "DIR" else word for word in words))
    assert code == 2
    assert "vedette-collector init" in err


def test_init_on_a_file_says_so(run: Run, tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    code, _, err = run("init", tmp_path / "f")
    assert code == 2
    assert "a file came, a folder was allowed" in err


def test_every_command_has_examples_and_exit_codes() -> None:
    def walk(parser: Any) -> Iterator[Any]:
        children = [
            child
            for action in parser._actions
            if action.choices and hasattr(action.choices, "values")
            for child in action.choices.values()
            if hasattr(child, "format_help")
        ]
        yield from (item for child in children for item in walk(child))
        if not children:
            yield parser

    leaves = list(walk(build_parser()))
    assert len(leaves) == 24
    for parser in leaves:
        text = parser.format_help()
        assert "examples:\n  vedette-collector" in text
        assert "exit codes:" in text
