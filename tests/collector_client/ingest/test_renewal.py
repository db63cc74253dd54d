"""A sensor outlives its keys: each vouches for the next one and then ends; a copied key gets nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from appliance.wire.enrollment import RECOVER_PATH, RecoveryRequest
from collector_client.config import Config
from collector_client.store import Control, audit, sensors
from collector_client.store.schema import CONTROL_MIGRATIONS
from tests.collector_client.harness import DAY_NS, Collector
from tests.fakes.sensor import FakeSensor, event, key_id

HOUR_NS = 3600 * 10**9


def actions(collector: Collector) -> list[object]:
    return [action for (action,) in collector.control("SELECT action FROM audit ORDER BY audit_id")]


def copy_of(collector: Collector, sensor: FakeSensor) -> FakeSensor:
    """What a copied disk holds: key and certificate as they are now."""
    copy = collector.box(sensor.key)
    copy.sensor_id, copy.ca_pem, copy.certificate = sensor.sensor_id, sensor.ca_pem, sensor.certificate
    return copy


def expired(collector: Collector, days_ago: int) -> FakeSensor:
    """A sensor whose certificate of 30 days ended so many days ago, for TLS too."""
    collector.clock.ahead_ns = -(30 + days_ago) * DAY_NS
    sensor = collector.sensor()
    collector.clock.ahead_ns = 0
    return sensor


def test_a_renewed_key_keeps_the_sensor_its_record_and_its_sequence(collector: Collector) -> None:
    sensor = collector.sensor(tenant="acme", site="north")
    assert sensor.send([event(1), event(2)]).status == 200
    first = sensor.key
    assert sensor.renew_key().status == 200
    certificate = x509.load_der_x509_certificate(sensor.certificate or b"")
    assert certificate.public_key() == sensor.key.public_key() != first.public_key()
    assert certificate.subject.rfc4514_string() == f"CN={sensor.sensor_id}"
    receipt = sensor.send([event(3)]).receipt
    assert (receipt.stored_to, receipt.gaps) == (3, ())
    assert collector.numbers(sensor) == [1, 2, 3]
    assert collector.control("SELECT sensor_id, certificate FROM sensors") == [(sensor.sensor_id, sensor.certificate)]
    assert actions(collector) == ["token new", "enroll", "renew", "supersede key"]


def test_the_old_key_speaks_until_the_grace_is_over_and_renews_nothing_any_more(collector: Collector) -> None:
    sensor = collector.sensor()
    old = copy_of(collector, sensor)
    sensor.renew_key()
    assert old.send([event(1)]).status == 200, "the new key was never used"
    sensor.send([event(2)])
    assert old.renew_key().code == "KEY_SUPERSEDED"
    subject, detail = collector.control("SELECT subject, detail FROM audit ORDER BY audit_id DESC LIMIT 1")[0]
    assert subject == sensor.sensor_id
    assert "KEY_SUPERSEDED: came" in str(detail)
    assert "from 127.0.0.1" in str(detail)
    assert old.send([event(3)]).status == 200
    collector.clock.ahead_ns = HOUR_NS + 10**9
    assert old.send([event(4)]).code == "KEY_SUPERSEDED"
    assert sensor.send([event(5)]).status == 200
    assert actions(collector)[-3:] == ["supersede key", "renew refused", "refuse sensor"]


def test_a_certificate_that_was_never_used_ends_when_a_later_one_is_issued(collector: Collector) -> None:
    """The box lost the key it had asked with: what was issued to it must not lie about for a month."""
    sensor = collector.sensor()
    lost = copy_of(collector, sensor)
    assert lost.renew_key().status == 200
    assert sensor.renew_key().status == 200
    assert lost.send([event(1)]).code == "KEY_SUPERSEDED"
    assert sensor.send([event(1)]).status == 200


def test_a_lost_answer_is_given_again(collector: Collector) -> None:
    sensor, fresh = collector.sensor(), ec.generate_private_key(ec.SECP256R1())
    old = copy_of(collector, sensor)
    sensor.renew(sensor.csr(fresh))
    first = sensor.certificate
    assert old.renew(old.csr(fresh)).status == 200
    assert old.certificate == first
    assert actions(collector).count("renew") == 1


def test_a_key_of_another_sensor_is_not_renewed_into(collector: Collector) -> None:
    one, other = collector.sensor(), collector.sensor()
    assert one.renew(one.csr(other.key)).code == "KEY_TAKEN"
    assert one.renew(one.csr()).status == 200


def test_a_superseded_key_does_not_come_back(collector: Collector) -> None:
    sensor = collector.sensor()
    first = sensor.key
    sensor.renew_key()
    sensor.send([event(1)])
    assert sensor.renew(sensor.csr(first)).code == "KEY_SUPERSEDED"
    assert collector.box(first).enroll(collector.token()).code == "KEY_SUPERSEDED"


def test_a_sensor_with_a_renewed_key_enrolls_again_as_itself(collector: Collector) -> None:
    sensor = collector.sensor(tenant="acme", site="north")
    sensor.renew_key()
    sensor.send([event(1)])
    assert sensor.enroll(collector.token("acme", "north")).status == 200
    assert sensor.send([event(2)]).receipt.stored_to == 2
    assert collector.control("SELECT COUNT(*) FROM sensors") == [(1,)]


def test_a_key_in_hardware_is_not_replaced_by_one_that_nothing_proves(collector: Collector) -> None:
    sensor = collector.sensor()
    with sqlite3.connect(collector.directory / "control.db") as database:
        database.execute("UPDATE sensors SET assurance = 'tpm'")
    database.close()
    assert sensor.renew_key().code == "KEY_DIFFERS"
    assert sensor.renew().status == 200


def test_an_expired_certificate_recovers_and_the_sensor_goes_on(collector: Collector) -> None:
    sensor = expired(collector, 20)
    assert sensor.recover().status == 200
    assert sensor.send([event(1)]).status == 200
    assert actions(collector) == ["token new", "enroll", "recover", "supersede key"]


def test_recovery_ends_after_the_configured_days(collector: Collector) -> None:
    sensor = expired(collector, 31)
    answer = sensor.recover()
    assert (answer.status, answer.code) == (403, "RECOVERY_TOO_LATE")
    assert "token" in answer.refusal.do
    assert actions(collector)[-1] == "recover refused"


def never(config: Config) -> Config:
    return replace(config, collector=replace(config.collector, recovery_days=0))


def test_recovery_can_be_switched_off(tmp_path: Path) -> None:
    collector = Collector(tmp_path / "collector", never).start()
    try:
        assert expired(collector, 1).recover().code == "RECOVERY_TOO_LATE"
    finally:
        collector.stop()


def test_a_recovery_signed_by_another_key_is_refused(collector: Collector) -> None:
    sensor, thief = expired(collector, 1), ec.generate_private_key(ec.SECP256R1())
    assert sensor.recover(sensor.recovery(thief, signer=thief)).code == "PROOF_INVALID"
    assert actions(collector)[-1] == "recover refused"


def test_a_proof_is_good_for_its_own_request_only(collector: Collector) -> None:
    """The attack: take the proof out of a seen recovery and put it beside a request for the thief's key."""
    sensor, thief = expired(collector, 1), ec.generate_private_key(ec.SECP256R1())
    seen = RecoveryRequest.from_json(sensor.recovery(ec.generate_private_key(ec.SECP256R1())))
    theirs = RecoveryRequest.from_json(sensor.recovery(thief, signer=thief))
    forged = replace(theirs, proof_der=seen.proof_der)
    assert sensor.recover(forged.to_json()).code == "PROOF_INVALID"


def test_a_recovery_sent_again_gives_nothing_new_and_nothing_at_all_later(collector: Collector) -> None:
    sensor = expired(collector, 1)
    box, fresh = copy_of(collector, sensor), ec.generate_private_key(ec.SECP256R1())
    body = sensor.recovery(fresh)
    assert sensor.recover(body).status == 200
    first, sensor.key = sensor.certificate, fresh
    assert box.recover(body).status == 200
    assert box.certificate == first
    sensor.send([event(1)])
    assert box.recover(body).code == "KEY_SUPERSEDED"


def revoke(collector: Collector, sensor: FakeSensor) -> str:
    control = Control.open(collector.directory)
    with control.transaction() as connection:
        sensors.revoke(connection, sensor.sensor_id, "stolen", collector.clock.wall_ns())
    control.close()
    return "SENSOR_REVOKED"


def rename(_: Collector, sensor: FakeSensor) -> str:
    sensor.sensor_id = "s-" + "a" * 20
    return "SENSOR_UNKNOWN"


def other_key(_: Collector, sensor: FakeSensor) -> str:
    sensor.key = ec.generate_private_key(ec.SECP256R1())
    return "SENSOR_UNKNOWN"


@pytest.mark.parametrize("spoil", [revoke, rename, other_key])
def test_who_may_not_recover_is_told_why(collector: Collector, spoil: Callable[[Collector, FakeSensor], str]) -> None:
    sensor = expired(collector, 1)
    code = spoil(collector, sensor)
    assert sensor.recover().code == code


@pytest.mark.parametrize("body", [b"{}", b"rubbish", b'{"sensor":"s-1"}', b"\xff" * 100])
def test_a_recovery_of_another_form_is_refused_by_name(collector: Collector, body: bytes) -> None:
    box = collector.box()
    box.learn_ca()
    assert box.request("POST", RECOVER_PATH, body).code == "REQUEST_INVALID"
    assert box.request("POST", RECOVER_PATH, b"x" * 60_000).code == "BODY_TOO_LARGE"


def test_an_expired_certificate_gets_in_by_no_other_path(collector: Collector) -> None:
    sensor = collector.sensor()
    collector.clock.ahead_ns = 31 * DAY_NS
    for answer in (sensor.send([event(1)]), sensor.renew()):
        assert answer.code == "CERTIFICATE_EXPIRED"


KEYS = "DROP TABLE sensor_keys;"
PROOFS = "DROP TABLE challenges; DROP TABLE residencies;"
QUARANTINE = (
    "ALTER TABLE sensors DROP COLUMN quarantined_ns; ALTER TABLE sensors DROP COLUMN quarantine_reason;"
)  # fmt: skip
GOING_ON = "ALTER TABLE tokens DROP COLUMN for_sensor;"
TOKENS = "".join(
    f"ALTER TABLE tokens DROP COLUMN {name};" for name in ("made_by", "ek_sha256", "revoked_ns", "revoked_by")
)
ONE_PROOF = PROOFS + CONTROL_MIGRATIONS[2]
ELEMENTS = "DROP TABLE elements; ALTER TABLE tokens DROP COLUMN key_sha256;"
UPDATES = "DROP TABLE updates; DROP TABLE update_outcomes;"


UNDO = [
    (1, ELEMENTS + KEYS + PROOFS + QUARANTINE + TOKENS + GOING_ON),
    (2, ELEMENTS + PROOFS + QUARANTINE + TOKENS + GOING_ON),
    (3, ELEMENTS + ONE_PROOF + QUARANTINE + TOKENS + GOING_ON),
    (4, ELEMENTS + ONE_PROOF + TOKENS + GOING_ON),
    (5, ELEMENTS + ONE_PROOF + GOING_ON),
    (6, ELEMENTS + ONE_PROOF),
    (7, ELEMENTS),
    (8, ""),
]
NAMES = ["keys", "residency", "quarantine", "tokens", "going on", "renewals", "elements", "updates"]


@pytest.mark.parametrize(("version", "undo"), UNDO, ids=NAMES)
def test_a_store_from_before_keys_or_proofs_were_kept_is_carried_over(tmp_path: Path, version: int, undo: str) -> None:
    collector = Collector(tmp_path / "collector").start()
    sensor = collector.sensor()
    collector.stop()
    database = sqlite3.connect(collector.directory / "control.db")
    database.executescript(f"{UPDATES} {undo} PRAGMA user_version = {version};")
    database.close()
    again = Collector(tmp_path / "collector").start()
    try:
        box = again.box(sensor.key)
        box.ca_pem, box.certificate = sensor.ca_pem, sensor.certificate
        assert box.renew_key().status == 200
        assert box.send([event(1)]).status == 200
        assert again.control("SELECT * FROM residencies") == []
        assert {row for (row,) in again.control("SELECT key_id FROM sensor_keys")} == {
            sensor.sensor_id,
            key_id(box.key),
        }
        control = Control.open(again.directory)
        with control.reading() as connection:
            assert audit.verify(connection) is None
        control.close()
    finally:
        again.stop()
