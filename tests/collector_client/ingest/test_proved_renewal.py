"""A fresh key in the sensor's own TPM takes the place of the old one by proof; each attack is refused by name."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.wire.residency import (
    TPM_RECHALLENGE_PATH,
    TPM_RECOVER_CHALLENGE_PATH,
    TPM_RECOVER_PATH,
    TPM_REENROLL_PATH,
    ResidencyChallenge,
)
from collector_client.config import Config
from collector_client.store import Control, audit, sensors
from collector_client.store.schema import CONTROL_MIGRATIONS
from tests.collector_client.harness import Collector
from tests.collector_client.ingest.test_assurance import unlisted
from tests.collector_client.ingest.test_residency import strict, trust
from tests.fakes.sensor import event, key_id
from tests.fakes.tpm_device import Maker, TpmDevice
from tests.fakes.tpm_sensor import TpmSensor

MAKER = Maker()
HOUR_NS = 3600 * 10**9


@pytest.fixture
def hardened(tmp_path: Path) -> Iterator[Collector]:
    """In production, trusting one maker."""
    made = Collector(tmp_path / "collector", strict)
    trust(made, MAKER)
    yield made.start()
    made.stop()


def enrolled(collector: Collector, device: TpmDevice | None = None) -> TpmSensor:
    box = collector.adopt(TpmSensor(collector.address, device or TpmDevice.made_by(MAKER)))
    assert box.enroll_by_tpm(collector.token()).status == 200
    return box


def fresh(device: TpmDevice) -> TpmDevice:
    """The same TPM with another LDevID."""
    return replace(device, ldevid=TpmDevice().ldevid)


def last_audit(collector: Collector) -> tuple[object, ...]:
    return collector.control("SELECT action, subject, detail FROM audit ORDER BY audit_id DESC LIMIT 1")[0]


def refused(collector: Collector, box: TpmSensor, answer: object, code: str, action: str = "renew refused") -> None:
    """By that name, with an audit row about the sensor; no key was issued."""
    assert answer.code == code  # type: ignore[attr-defined]
    did, subject, detail = last_audit(collector)
    assert (did, subject) == (action, box.sensor_id)
    assert f"{code}: came" in str(detail)
    assert collector.control("SELECT COUNT(*) FROM sensor_keys") == [(1,)]


def test_a_fresh_key_of_the_same_tpm_renews_and_its_first_use_supersedes_the_old_one(hardened: Collector) -> None:
    box = enrolled(hardened)
    old = hardened.adopt(TpmSensor(hardened.address, box.device))
    old.sensor_id, old.ca_pem, old.certificate = box.sensor_id, box.ca_pem, box.certificate
    assert box.send([event(1)]).status == 200
    assert box.renew_by_tpm(fresh(box.device)).status == 200
    assert old.send([event(2)]).status == 200
    assert box.send([event(3)]).status == 200
    assert old.renew_by_tpm(fresh(box.device)).code == "KEY_SUPERSEDED"
    hardened.clock.ahead_ns = HOUR_NS + 10**9
    assert old.send([event(4)]).code == "KEY_SUPERSEDED"
    assert box.send([event(4)]).status == 200
    assert hardened.control("SELECT sensor_id, assurance FROM sensors") == [(box.sensor_id, "tpm")]


def test_each_renewal_is_a_row_that_ties_tpm_key_certificate_and_who_vouched(hardened: Collector) -> None:
    box = enrolled(hardened)
    first = box.sensor_id
    chain = [first]
    for _ in range(3):
        assert box.renew_by_tpm(fresh(box.device)).status == 200
        assert box.send([event(len(chain))]).status == 200
        chain.append(key_id(box.key))
    rows = hardened.control("SELECT sensor_id, key_id, by_key, token_id IS NULL FROM residencies ORDER BY residency_id")
    assert rows == [(first, key, by, by is not None) for key, by in zip(chain, [None, *chain[:-1]], strict=True)]
    digest = hashlib.sha256(box.certificate or b"").digest()
    assert hardened.control("SELECT certificate_sha256 FROM residencies ORDER BY residency_id")[-1] == (digest,)
    detail = str(hardened.control("SELECT detail FROM audit WHERE action = 'prove residency'")[-1][0])
    assert f"by key {chain[-2]}" in detail
    control = Control.open(hardened.directory)
    with control.reading() as connection:
        assert audit.verify(connection) is None
    control.close()


@pytest.mark.parametrize("table", ["residencies", "sensor_keys", "audit"])
def test_when_any_part_cannot_be_written_nothing_is_issued_and_the_same_answer_works_later(
    hardened: Collector, table: str
) -> None:
    box = enrolled(hardened)
    device = fresh(box.device)
    proof = device.answer(ResidencyChallenge.decode(box.rechallenge(device).body))
    control = Control.open(hardened.directory)
    with control.transaction() as connection:
        connection.execute(f"CREATE TRIGGER broken BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'broken'); END")
    assert box.reprove(device, proof).code == "STORE_FAILED"
    with control.transaction() as connection:
        connection.execute("DROP TRIGGER broken")
    control.close()
    assert hardened.control("SELECT (SELECT COUNT(*) FROM sensor_keys), COUNT(*) FROM residencies") == [(1, 1)]
    assert box.reprove(device, proof).status == 200


def test_a_lost_answer_is_given_again_for_a_new_proof(hardened: Collector) -> None:
    box = enrolled(hardened)
    device, old, certificate = fresh(box.device), box.device, box.certificate
    assert box.renew_by_tpm(device).status == 200
    issued, box.certificate, box.key, box.device = box.certificate, certificate, old.ldevid.key, old
    assert box.renew_by_tpm(device).status == 200
    assert box.certificate == issued
    assert hardened.control("SELECT COUNT(*) FROM residencies") == [(2,)]


def test_a_next_key_that_was_lost_before_its_use_ends_when_another_is_issued(hardened: Collector) -> None:
    box = enrolled(hardened)
    old, certificate = box.device, box.certificate
    assert box.renew_by_tpm(fresh(old)).status == 200
    lost = hardened.adopt(TpmSensor(hardened.address, box.device))
    lost.sensor_id, lost.ca_pem, lost.certificate = box.sensor_id, box.ca_pem, box.certificate
    box.certificate, box.key, box.device = certificate, old.ldevid.key, old
    assert box.renew_by_tpm(fresh(old)).status == 200
    assert lost.send([event(1)]).code == "KEY_SUPERSEDED"
    assert box.send([event(1)]).status == 200


def test_attack_renewal_into_another_tpm(hardened: Collector) -> None:
    box = enrolled(hardened)
    refused(hardened, box, box.renew_by_tpm(TpmDevice.made_by(MAKER)), "TPM_DIFFERS")


def test_attack_renewal_by_another_ak_beside_the_sensors_ek(hardened: Collector) -> None:
    box = enrolled(hardened)
    refused(hardened, box, box.renew_by_tpm(replace(fresh(box.device), ak=TpmDevice().ak)), "TPM_DIFFERS")


def test_attack_renewal_by_the_sensors_ak_beside_another_ek(hardened: Collector) -> None:
    """As CVE-2022-1053: one AK was proved, and it is another TPM that answers for it."""
    box, other = enrolled(hardened), TpmDevice.made_by(MAKER)
    mixed = replace(fresh(box.device), ek=other.ek, certificate=other.certificate)
    refused(hardened, box, box.renew_by_tpm(mixed), "TPM_DIFFERS")


def test_attack_a_stolen_key_of_a_file_is_not_lifted_by_the_thiefs_tpm(tmp_path: Path) -> None:
    collector = Collector(tmp_path / "collector")
    trust(collector, MAKER)
    collector.start()
    try:
        victim = collector.sensor()
        thief = collector.adopt(TpmSensor(collector.address, TpmDevice.made_by(MAKER)))
        thief.sensor_id, thief.key = victim.sensor_id, victim.key
        thief.ca_pem, thief.certificate = victim.ca_pem, victim.certificate
        refused(collector, thief, thief.renew_by_tpm(thief.device), "TPM_DIFFERS")
        assert collector.control("SELECT assurance FROM sensors") == [("software",)]
    finally:
        collector.stop()


def test_attack_the_tpms_answer_to_another_sensors_challenge(hardened: Collector) -> None:
    one, other = enrolled(hardened), enrolled(hardened)
    device = fresh(one.device)
    proof = device.answer(ResidencyChallenge.decode(one.rechallenge(device).body))
    assert other.reprove(device, proof).code == "CHALLENGE_UNKNOWN"
    assert one.reprove(device, proof).status == 200


def test_attack_a_challenge_of_enrollment_answered_as_a_renewal_and_the_other_way(hardened: Collector) -> None:
    box = enrolled(hardened)
    device, token = fresh(box.device), hardened.token(for_sensor=box.sensor_id)
    proof = device.answer(ResidencyChallenge.decode(box.ask(token, device.request().encode()).body))
    assert box.reprove(device, proof).code == "CHALLENGE_UNKNOWN"
    back = device.answer(ResidencyChallenge.decode(box.rechallenge(device).body))
    assert box.prove(token, back).code == "CHALLENGE_UNKNOWN"
    assert box.request("POST", TPM_RECOVER_PATH, back.encode()).code == "CHALLENGE_UNKNOWN"


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("CREDENTIAL_DIFFERS", {"secret": b"g" * 32}),
        ("ATTEST_SIGNATURE", {"certify_attest": b"\xff" * 100}),
        ("PCR_DIFFERS", {"pcr_values": dict.fromkeys(range(8), b"\x01" * 32)}),
    ],
)
def test_attack_a_wrong_answer_uses_its_challenge_up(hardened: Collector, code: str, change: dict[str, object]) -> None:
    box = enrolled(hardened)
    device = fresh(box.device)
    honest = device.answer(ResidencyChallenge.decode(box.rechallenge(device).body))
    refused(hardened, box, box.reprove(device, replace(honest, **change)), code)  # type: ignore[arg-type]
    refused(hardened, box, box.reprove(device, honest), "CHALLENGE_USED")
    assert box.renew_by_tpm(device).status == 200


def test_attack_a_key_in_software_beside_the_sensors_tpm(hardened: Collector) -> None:
    """The TPM certifies its own LDevID; the request is for a key on the disk that only claims to be in it."""
    box = enrolled(hardened)
    lied = fresh(box.device)
    challenge = ResidencyChallenge.decode(box.rechallenge(lied).body)
    genuine = box.device.certify(challenge.nonce)
    proof = lied.answer(challenge, certify_attest=genuine, certify_signature=box.device.ak.sign(genuine))
    refused(hardened, box, box.reprove(lied, proof), "CERTIFY_DIFFERS")


def revoke(collector: Collector, box: TpmSensor) -> str:
    control = Control.open(collector.directory)
    with control.transaction() as connection:
        sensors.revoke(connection, box.sensor_id, "stolen", collector.clock.wall_ns())
    control.close()
    return "SENSOR_REVOKED"


def quarantine(collector: Collector, box: TpmSensor) -> str:
    control = Control.open(collector.directory)
    with control.transaction() as connection:
        sensors.quarantine(connection, box.sensor_id, "two boxes", collector.clock.wall_ns())
    control.close()
    return "SENSOR_QUARANTINED"


@pytest.mark.parametrize("spoil", [revoke, quarantine])
def test_attack_revoked_or_quarantined_between_challenge_and_answer(
    hardened: Collector, spoil: Callable[[Collector, TpmSensor], str]
) -> None:
    box = enrolled(hardened)
    device = fresh(box.device)
    proof = device.answer(ResidencyChallenge.decode(box.rechallenge(device).body))
    code = spoil(hardened, box)
    assert box.reprove(device, proof).code == code
    assert box.rechallenge(device).code == code
    assert hardened.control("SELECT COUNT(*) FROM sensor_keys") == [(1,)]


def test_a_renewal_is_worth_what_its_proof_is(tmp_path: Path) -> None:
    """Up when the maker's root was added, down when it was taken away again."""
    collector = Collector(tmp_path / "collector", unlisted).start()
    try:
        box = enrolled(collector)
        assert collector.control("SELECT assurance FROM sensors") == [("tpm-unlisted",)]
        trust(collector, MAKER)
        assert box.renew().status == 200
        assert b"urn:vedette:assurance:tpm-unlisted" in (box.certificate or b""), "without a proof it stays"
        assert box.renew_by_tpm(fresh(box.device)).status == 200
        assert b"urn:vedette:assurance:tpm-unlisted" not in (box.certificate or b"")
        assert collector.control("SELECT assurance FROM sensors") == [("tpm",)]
        assert box.send([event(1)]).status == 200
        (collector.directory / "pki" / "tpm-roots" / "maker.pem").unlink()
        assert box.renew_by_tpm(fresh(box.device)).status == 200
        assert collector.control("SELECT assurance FROM sensors") == [("tpm-unlisted",)]
    finally:
        collector.stop()


def test_a_certificate_that_waits_for_its_use_is_issued_anew_when_its_worth_has_changed(tmp_path: Path) -> None:
    collector = Collector(tmp_path / "collector", unlisted).start()
    try:
        box = enrolled(collector)
        device, old, certificate = fresh(box.device), box.device, box.certificate
        assert box.renew_by_tpm(device).status == 200
        box.certificate, box.key, box.device = certificate, old.ldevid.key, old
        trust(collector, MAKER)
        assert box.renew_by_tpm(device).status == 200
        assert b"urn:vedette:assurance:tpm-unlisted" not in (box.certificate or b"")
        assert box.send([event(1)]).status == 200
        assert collector.control("SELECT assurance FROM sensors") == [("tpm",)]
    finally:
        collector.stop()


def test_a_tpm_that_is_not_believed_any_more_renews_nothing(hardened: Collector) -> None:
    box = enrolled(hardened)
    (hardened.directory / "pki" / "tpm-roots" / "maker.pem").unlink()
    assert box.renew_by_tpm(fresh(box.device)).code == "EK_UNLISTED"


def test_keys_that_nothing_proves_end_when_the_proof_begins_to_count(tmp_path: Path) -> None:
    """The attack: a copied disk speaks in its grace as a sensor that is now known for its TPM."""
    collector = Collector(tmp_path / "collector")
    trust(collector, MAKER, "tpm-roots-development")
    collector.start()
    try:
        old = collector.sensor()
        old.send([event(1)])
        box = collector.adopt(TpmSensor(collector.address, TpmDevice.made_by(MAKER)))
        copy = collector.box(old.key)
        copy.sensor_id, copy.ca_pem, copy.certificate = old.sensor_id, old.ca_pem, old.certificate
        assert old.renew(old.csr(box.key)).status == 200
        box.sensor_id, box.ca_pem = old.sensor_id, old.ca_pem
        assert box.enroll_by_tpm(collector.token()).status == 200
        assert box.send([event(2)]).status == 200
        assert copy.send([event(3)]).status == 200, "the grace, both as software"
        trust(collector, MAKER)
        assert box.renew_by_tpm(fresh(box.device)).status == 200
        assert copy.send([event(4)]).code == "KEY_SUPERSEDED"
        assert box.send([event(4)]).status == 200
        assert collector.control("SELECT assurance FROM sensors") == [("tpm",)]
    finally:
        collector.stop()


@pytest.mark.parametrize(
    "path", [TPM_RECHALLENGE_PATH, TPM_REENROLL_PATH, TPM_RECOVER_CHALLENGE_PATH, TPM_RECOVER_PATH]
)
@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"\xff", b'{"ek_public": "AAAA"}', b"[" * 15_000])
def test_attack_bodies_of_no_form(hardened: Collector, path: str, body: bytes) -> None:
    box = enrolled(hardened)
    assert box.request("POST", path, body).code in ("RESIDENCY_INVALID", "REQUEST_INVALID")
    assert box.request("POST", path, b"x" * 60_000).code == "BODY_TOO_LARGE"


@pytest.mark.parametrize("path", [TPM_RECHALLENGE_PATH, TPM_REENROLL_PATH])
def test_without_a_certificate_nothing_is_renewed(hardened: Collector, path: str) -> None:
    box = hardened.box()
    box.learn_ca()
    assert box.request("POST", path, b"{}").code == "CERTIFICATE_MISSING"


def room(config: Config) -> Config:
    return replace(config, quota=replace(config.quota, enrollments_per_minute=3))


def test_attack_a_flood_of_renewals_is_slowed(tmp_path: Path) -> None:
    collector = Collector(tmp_path / "collector", room)
    trust(collector, MAKER)
    collector.start()
    try:
        box = enrolled(collector)
        answers = [box.rechallenge(fresh(box.device)) for _ in range(5)]
        assert [answer.status for answer in answers] == [200, 200, 200, 429, 429]
        assert answers[-1].code == "ENROLLMENT_RATE"
    finally:
        collector.stop()


def test_a_proof_from_before_renewals_were_proved_is_carried_over_and_renewed_from(tmp_path: Path) -> None:
    collector = Collector(tmp_path / "collector", strict)
    trust(collector, MAKER)
    collector.start()
    box = enrolled(collector)
    collector.stop()
    columns = (
        "residency_id, sensor_id, token_id, challenge_id, certificate_sha256, assurance, voucher, ek_sha256, ek_public,"
        " ek_certificate, ak_public, ldevid_public, nonce, certify_attest, certify_signature, quote_attest,"
        " quote_signature, pcr_values, bound_ns"
    )
    database = sqlite3.connect(collector.directory / "control.db")
    database.executescript(
        f"CREATE TEMP TABLE kept AS SELECT {columns} FROM residencies; DROP TABLE challenges; DROP TABLE residencies;"  # noqa: S608 - our columns
        f" {CONTROL_MIGRATIONS[2]} INSERT INTO residencies ({columns}) SELECT * FROM kept; DROP TABLE elements;"
        " ALTER TABLE tokens DROP COLUMN key_sha256; DROP TABLE updates; DROP TABLE update_outcomes;"
        " PRAGMA user_version = 6;"
    )
    database.close()
    again = Collector(tmp_path / "collector", strict).start()
    try:
        box.port = int(again.address.rpartition(":")[2])
        again.adopt(box).disconnect()
        assert box.renew_by_tpm(fresh(box.device)).status == 200
        rows = again.control("SELECT key_id, by_key FROM residencies ORDER BY residency_id")
        assert rows == [(box.sensor_id, None), (key_id(box.key), box.sensor_id)]
    finally:
        again.stop()
