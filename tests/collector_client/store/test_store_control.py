"""Tenants, tokens, sensors, heartbeats, audit and the schema itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector_client.store import (
    Control,
    NoStoreError,
    StoreError,
    UnknownSensorError,
    audit,
    heartbeats,
    sensors,
    tenants,
    tokens,
)
from collector_client.store.connect import open_control
from collector_client.store.errors import ConflictError
from collector_client.store.schema import CONTROL_MIGRATIONS


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    control = Control.create(tmp_path)
    yield control
    control.close()


def site(control: Control, tenant: str = "acme", name: str = "hq") -> int:
    with control.transaction() as connection:
        return tenants.ensure_site(connection, tenant, name, 1).site_id


def test_a_site_is_made_once_and_its_name_is_free_at_another_tenant(control: Control) -> None:
    assert site(control) == site(control)
    assert site(control, "globex") != site(control)
    with control.reading() as connection:
        assert [(row.tenant, row.site) for row in tenants.list_sites(connection)] == [("acme", "hq"), ("globex", "hq")]


def test_a_token_works_once_and_only_with_its_secret(control: Control) -> None:
    place = site(control)
    with control.transaction() as connection:
        tokens.add(connection, "t1", "secret", place, label="", now_ns=1, expires_ns=100)
        assert tokens.check(connection, "t1", "wrong") is None
        assert tokens.check(connection, "t2", "secret") is None
        found = tokens.check(connection, "t1", "secret")
        assert found is not None
        assert (found.state(50), found.state(100), found.tenant) == ("open", "expired", "acme")
        tokens.use(connection, "t1", "s-one", 50)
        with pytest.raises(ConflictError, match="used, revoked or expired"):
            tokens.use(connection, "t1", "s-two", 51)
        used = tokens.check(connection, "t1", "secret")
        assert used is not None
        assert (used.state(200), used.used_by) == ("used", "s-one")


def test_an_expired_token_cannot_be_used(control: Control) -> None:
    place = site(control)
    with control.transaction() as connection:
        tokens.add(connection, "t1", "secret", place, label="", now_ns=1, expires_ns=100)
        with pytest.raises(ConflictError, match="expired"):
            tokens.use(connection, "t1", "s-one", 100)


def test_a_token_taken_back_cannot_be_used_and_a_used_one_not_taken_back(control: Control) -> None:
    place = site(control)
    with control.transaction() as connection:
        for token_id in ("t1", "t2"):
            tokens.add(connection, token_id, "secret", place, label="", now_ns=1, expires_ns=100)
        tokens.revoke(connection, "t1", "ann", 5)
        tokens.revoke(connection, "t1", "ben", 6)
        with pytest.raises(ConflictError, match="revoked"):
            tokens.use(connection, "t1", "s-one", 7)
        tokens.use(connection, "t2", "s-one", 7)
        with pytest.raises(ConflictError, match="sensor s-one enrolled with it"):
            tokens.revoke(connection, "t2", "ann", 8)
        states = {row.token_id: (row.state(9), row.revoked_by, row.revoked_ns) for row in tokens.list_all(connection)}
    assert states == {"t1": ("revoked", "ann", 5), "t2": ("used", "", None)}


def test_the_secret_itself_is_nowhere_in_the_file(control: Control, tmp_path: Path) -> None:
    place = site(control)
    with control.transaction() as connection:
        tokens.add(connection, "t1", "tell-nobody-9f8e7d", place, label="", now_ns=1, expires_ns=100)
    assert all(b"tell-nobody" not in path.read_bytes() for path in tmp_path.iterdir())


def test_enrolling_and_using_the_token_is_all_or_nothing(control: Control) -> None:
    place = site(control)
    with control.transaction() as connection:
        tokens.add(connection, "t1", "secret", place, label="", now_ns=1, expires_ns=100)
        sensors.add(connection, "s-one", place, label="", assurance="software", now_ns=1)

    def enroll_again() -> None:
        with control.transaction() as connection:
            tokens.use(connection, "t1", "s-one", 50)
            sensors.add(connection, "s-one", place, label="", assurance="software", now_ns=50)

    with pytest.raises(ConflictError, match="s-one is enrolled"):
        enroll_again()
    with control.reading() as connection:
        assert tokens.list_all(connection)[0].used_by is None


def test_a_revoked_sensor_keeps_its_record_and_the_first_reason(control: Control) -> None:
    place = site(control)
    with control.transaction() as connection:
        sensors.add(connection, "s-one", place, label="box", assurance="software", now_ns=1)
        sensors.set_certificate(connection, "s-one", b"der", 900)
        sensors.revoke(connection, "s-one", "stolen", 5)
        sensors.revoke(connection, "s-one", "again", 6)
        found = sensors.find(connection, "s-one")
        assert found is not None
        assert (found.revoked_ns, found.revoked_reason, found.certificate) == (5, "stolen", b"der")
        with pytest.raises(UnknownSensorError):
            sensors.revoke(connection, "s-none", "x", 7)


def test_a_sensor_of_no_site_is_refused(control: Control) -> None:
    with pytest.raises(StoreError, match="FOREIGN KEY"), control.transaction() as connection:
        sensors.add(connection, "s-one", 77, label="", assurance="software", now_ns=1)


def test_heartbeats_are_bounded_and_the_newest_answers(control: Control) -> None:
    place = site(control)
    with control.transaction() as connection:
        sensors.add(connection, "s-one", place, label="", assurance="software", now_ns=1)
        for number in range(10):
            heartbeats.record(connection, "s-one", number, f'{{"n": {number}}}', keep=4)
        assert heartbeats.latest(connection, "s-one") == (9, '{"n": 9}')
        assert connection.execute("SELECT COUNT(*), MIN(received_ns) FROM heartbeats").fetchone() == (4, 6)
        assert heartbeats.latest(connection, "s-two") is None


def test_audit_rows_cannot_be_changed_or_deleted(control: Control) -> None:
    with control.transaction() as connection:
        audit.record(connection, 1, "ann", "revoke", "s-one", "stolen")
    for statement in ("DELETE FROM audit", "UPDATE audit SET actor = 'bob'"):
        with pytest.raises(StoreError, match="audit rows stay"), control.transaction() as connection:
            connection.execute(statement)


@pytest.mark.parametrize(
    "attack", ["UPDATE audit SET subject = 's-two' WHERE audit_id = 2", "DELETE FROM audit WHERE audit_id = 2"]
)
def test_an_audit_row_changed_behind_our_back_shows(control: Control, attack: str) -> None:
    with control.transaction() as connection:
        for number in range(4):
            audit.record(connection, number, "ann", "look", f"s-{number}")
        assert audit.verify(connection) is None
        connection.execute("DROP TRIGGER audit_keeps_rows")
        connection.execute("DROP TRIGGER audit_keeps_text")
        connection.execute(attack)
        assert audit.verify(connection) in (2, 3)


def test_a_store_is_not_made_over_another(control: Control, tmp_path: Path) -> None:
    with pytest.raises(ConflictError, match="exists"):
        Control.create(tmp_path)


def test_a_missing_store_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NoStoreError, match="no such store") as caught:
        Control.open(tmp_path)
    assert "vedette-collector init" in caught.value.advice


def test_a_store_of_a_newer_program_is_refused(control: Control, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "control.db")
    connection.execute(f"PRAGMA user_version = {len(CONTROL_MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(StoreError, match="schema version"):
        open_control(tmp_path)


def test_a_file_that_is_no_database_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "control.db").write_bytes(b"not a database" * 100)
    with pytest.raises(StoreError, match="not a database"):
        Control.open(tmp_path)


def test_commits_are_durable_and_files_private(control: Control, tmp_path: Path) -> None:
    with control.reading() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert (tmp_path / "control.db").stat().st_mode & 0o077 == 0
