"""A TPM enrolls by proof; each attack is refused by its own name and leaves an audit row."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from appliance.wire.enrollment import EnrollmentToken
from appliance.wire.residency import TPM_CHALLENGE_PATH, TPM_ENROLL_PATH
from collector_client.config import Config
from collector_client.store import Control, audit, sensors
from tests.collector_client.harness import Collector, production
from tests.fakes.sensor import event
from tests.fakes.tpm_device import Maker, Object, TpmDevice, ecc_ek, rsa_ek, spki
from tests.fakes.tpm_sensor import TpmSensor

MAKER = Maker()
MINUTE_NS = 60 * 10**9


def strict(config: Config) -> Config:
    """In production, with room for many attempts."""
    return replace(production(config), quota=replace(config.quota, enrollments_per_minute=10_000))


@pytest.fixture
def hardened(tmp_path: Path) -> Iterator[Collector]:
    """A collector in production that trusts one maker of TPMs."""
    made = Collector(tmp_path / "collector", strict)
    trust(made, MAKER)
    yield made.start()
    made.stop()


def trust(collector: Collector, maker: Maker, folder: str = "tpm-roots") -> None:
    path = collector.directory / "pki" / folder
    path.mkdir(exist_ok=True)
    (path / "maker.pem").write_bytes(maker.pem)


def box_with(collector: Collector, device: TpmDevice | None = None) -> TpmSensor:
    return collector.adopt(TpmSensor(collector.address, device or TpmDevice.made_by(MAKER)))


def last_audit(collector: Collector) -> tuple[object, ...]:
    return collector.control("SELECT action, subject, detail FROM audit ORDER BY audit_id DESC LIMIT 1")[0]


def refused(collector: Collector, box: TpmSensor, token: str, answer: object, code: str) -> None:
    """The refusal has that name, an audit row says so, and nothing was issued."""
    assert answer.code == code  # type: ignore[attr-defined]
    action, subject, detail = last_audit(collector)
    assert (action, subject) == ("refuse enrollment", EnrollmentToken.parse(token).token_id)
    assert f" {code}: came " in str(detail)
    assert "from 127.0.0.1" in str(detail)
    assert collector.control("SELECT COUNT(*) FROM sensors WHERE sensor_id = ?", box.sensor_id) == [(0,)]


@pytest.mark.parametrize("ek", [rsa_ek, ecc_ek])
def test_a_tpm_enrolls_in_production_and_its_alerts_bear_its_assurance(
    hardened: Collector, ek: Callable[[], Object]
) -> None:
    box = box_with(hardened, TpmDevice.made_by(MAKER, ek()))
    token = hardened.token()
    assert box.enroll_by_tpm(token).status == 200
    certificate = x509.load_der_x509_certificate(box.certificate or b"")
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "urn:vedette:assurance:tpm" in names.get_values_for_type(x509.UniformResourceIdentifier)
    assert box.send([event(1)]).status == 200
    assert hardened.control("SELECT assurance FROM sensors") == [("tpm",)]
    assert hardened.alerts("SELECT assurance FROM batches") == [("tpm",)]


def test_one_row_ties_tpm_keys_token_and_certificate(hardened: Collector) -> None:
    box, token = box_with(hardened), hardened.token()
    box.enroll_by_tpm(token)
    device, token_id = box.device, EnrollmentToken.parse(token).token_id
    query = (
        "SELECT sensor_id, token_id, certificate_sha256, ek_sha256, ek_public, ek_certificate, ak_public, ldevid_public"
        " FROM residencies"
    )
    assert hardened.control(query) == [
        (
            box.sensor_id,
            token_id,
            hashlib.sha256(box.certificate or b"").digest(),
            hashlib.sha256(spki(device.ek.key.public_key())).digest(),
            device.ek.public,
            device.certificate,
            device.ak.public,
            device.ldevid.public,
        )
    ]
    assert hardened.control("SELECT used_by FROM tokens") == [(box.sensor_id,)]
    rows = hardened.control("SELECT action, subject, detail FROM audit ORDER BY audit_id")
    assert [row[0] for row in rows] == ["token new", "enroll", "prove residency"]
    assert "TPM maker id:53544D20, model ST33" in str(rows[-1][2])
    control = Control.open(hardened.directory)
    with control.reading() as connection:
        assert audit.verify(connection) is None
    control.close()


@pytest.mark.parametrize("table", ["residencies", "sensors", "sensor_keys", "audit"])
def test_when_any_part_cannot_be_written_nothing_is_bound_and_the_same_answer_works_later(
    hardened: Collector, table: str
) -> None:
    box, token = box_with(hardened), hardened.token()
    proof = box.device.answer(box.challenge(token))
    control = Control.open(hardened.directory)
    with control.transaction() as connection:
        connection.execute(f"CREATE TRIGGER broken BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'broken'); END")
    assert box.prove(token, proof).code == "STORE_FAILED"
    counts = "SELECT (SELECT COUNT(*) FROM sensors), (SELECT COUNT(*) FROM sensor_keys), COUNT(*) FROM residencies"
    assert hardened.control(counts) == [(0, 0, 0)]
    assert hardened.control("SELECT used_by FROM tokens") == [(None,)]
    assert hardened.control("SELECT used_ns FROM challenges") == [(None,)]
    with control.transaction() as connection:
        connection.execute("DROP TRIGGER broken")
    control.close()
    assert box.prove(token, proof).status == 200


def test_the_store_keeps_no_secret_of_a_challenge(hardened: Collector) -> None:
    box, token = box_with(hardened), hardened.token()
    proof = box.device.answer(box.challenge(token))
    box.prove(token, proof)
    for path in hardened.directory.glob("control.db*"):
        assert proof.secret not in path.read_bytes()


def test_a_box_that_lost_the_answer_proves_again_and_gets_the_same_certificate(hardened: Collector) -> None:
    box, token = box_with(hardened), hardened.token(life_s=60)
    box.enroll_by_tpm(token)
    first = box.certificate
    hardened.clock.ahead_ns = 10 * MINUTE_NS
    assert box.enroll_by_tpm(token).status == 200
    assert box.certificate == first
    assert hardened.control("SELECT COUNT(*) FROM residencies") == [(1,)]


def test_a_renewal_of_the_same_key_keeps_what_was_proved(hardened: Collector) -> None:
    box = box_with(hardened)
    box.enroll_by_tpm(hardened.token())
    assert box.renew().status == 200
    assert box.send([event(1)]).status == 200


def test_attack_token_replayed(hardened: Collector) -> None:
    token = hardened.token()
    assert box_with(hardened).enroll_by_tpm(token).status == 200
    thief = box_with(hardened)
    refused(hardened, thief, token, thief.ask(token), "TOKEN_USED")


def test_attack_token_used_between_challenge_and_answer(hardened: Collector) -> None:
    token, first, second = hardened.token(), box_with(hardened), box_with(hardened)
    early, late = first.challenge(token), second.challenge(token)
    assert first.prove(token, first.device.answer(early)).status == 200
    refused(hardened, second, token, second.prove(token, second.device.answer(late)), "TOKEN_USED")


def test_attack_token_expired(hardened: Collector) -> None:
    token, box = hardened.token(life_s=60), box_with(hardened)
    challenge = box.challenge(token)
    hardened.clock.ahead_ns = MINUTE_NS + MINUTE_NS // 2
    refused(hardened, box, token, box.prove(token, box.device.answer(challenge)), "TOKEN_EXPIRED")
    refused(hardened, box, token, box.ask(token), "TOKEN_EXPIRED")


def test_attack_token_of_another_tenant_for_an_enrolled_tpm(hardened: Collector) -> None:
    box = box_with(hardened)
    box.enroll_by_tpm(hardened.token("acme"))
    again = box_with(hardened, replace(box.device, ldevid=TpmDevice().ldevid))
    token = hardened.token("umbrella")
    refused(hardened, again, token, again.ask(token), "TPM_ELSEWHERE")
    control = Control.open(hardened.directory)
    with control.transaction() as connection:
        sensors.revoke(connection, box.sensor_id, "moved", hardened.clock.wall_ns())
    control.close()
    assert again.enroll_by_tpm(token).status == 200


def test_attack_challenge_of_another_token_stays_good_for_its_own(hardened: Collector) -> None:
    mine, theirs = hardened.token("acme"), hardened.token("umbrella")
    box = box_with(hardened)
    proof = box.device.answer(box.challenge(mine))
    refused(hardened, box, theirs, box.prove(theirs, proof), "CHALLENGE_UNKNOWN")
    assert box.prove(mine, proof).status == 200


def test_attack_unknown_token_is_refused_before_anything_is_read(hardened: Collector) -> None:
    box, token = box_with(hardened), str(EnrollmentToken("t-" + "a" * 12, "x" * 43))
    refused(hardened, box, token, box.ask(token, b"rubbish"), "TOKEN_UNKNOWN")


def test_attack_request_for_another_key_than_the_certified_one(hardened: Collector) -> None:
    box, token = box_with(hardened), hardened.token()
    csr = box.device.csr(ec.generate_private_key(ec.SECP256R1()))
    refused(hardened, box, token, box.ask(token, csr=csr), "CSR_KEY_DIFFERS")


def test_attack_tpm_certifies_another_key(hardened: Collector) -> None:
    box, token = box_with(hardened), hardened.token()
    challenge = box.challenge(token)
    other = box.device.certify(challenge.nonce, TpmDevice().ldevid.name)
    proof = box.device.answer(challenge, certify_attest=other, certify_signature=box.device.ak.sign(other))
    refused(hardened, box, token, box.prove(token, proof), "CERTIFY_DIFFERS")


def test_attack_statements_by_another_ak_than_the_activated_one(hardened: Collector) -> None:
    box, token = box_with(hardened), hardened.token()
    challenge = box.challenge(token)
    secret = box.device.activate(challenge.credential_blob, challenge.encrypted_secret)
    box.device.ak = TpmDevice().ak
    box.device.activate = lambda *_: secret  # type: ignore[method-assign]
    refused(hardened, box, token, box.prove(token, box.device.answer(challenge)), "ATTEST_SIGNATURE")


def test_attack_ak_of_software_beside_a_genuine_ek(hardened: Collector) -> None:
    """The claim names an AK that is not in the TPM: its TPM gives no secret for it, and a guess is refused."""
    box, token = box_with(hardened), hardened.token()
    genuine = box.device.ak
    box.device.ak = TpmDevice().ak
    challenge = box.challenge(token)
    with pytest.raises(ValueError, match="integrity"):
        box.device.activate(challenge.credential_blob, challenge.encrypted_secret, genuine.name)
    box.device.activate = lambda *_: b"g" * 32  # type: ignore[method-assign]
    refused(hardened, box, token, box.prove(token, box.device.answer(challenge)), "CREDENTIAL_DIFFERS")


@pytest.mark.parametrize("which", ["certify", "quote"])
def test_attack_wrong_nonce(hardened: Collector, which: str) -> None:
    box, token = box_with(hardened), hardened.token()
    challenge = box.challenge(token)
    statement = getattr(box.device, which)(b"o" * 32)
    forged = {f"{which}_attest": statement, f"{which}_signature": box.device.ak.sign(statement)}
    refused(hardened, box, token, box.prove(token, box.device.answer(challenge, **forged)), "ATTEST_NONCE")


def test_attack_changed_pcr(hardened: Collector) -> None:
    box, token = box_with(hardened), hardened.token()
    challenge = box.challenge(token)
    values = {**box.device.pcrs, 7: b"\xaa" * 32}
    refused(hardened, box, token, box.prove(token, box.device.answer(challenge, pcr_values=values)), "PCR_DIFFERS")


def test_attack_flipped_signature(hardened: Collector) -> None:
    box, token = box_with(hardened), hardened.token()
    proof = box.device.answer(box.challenge(token))
    flipped = proof.quote_signature[:-1] + bytes([proof.quote_signature[-1] ^ 1])
    refused(hardened, box, token, box.prove(token, replace(proof, quote_signature=flipped)), "ATTEST_SIGNATURE")


def test_attack_ek_of_a_foreign_ca(hardened: Collector) -> None:
    box, token = box_with(hardened, TpmDevice.made_by(Maker("Somebody's"))), hardened.token()
    refused(hardened, box, token, box.ask(token), "EK_UNLISTED")


def test_attack_foreign_ca_that_bears_the_makers_name(hardened: Collector) -> None:
    box, token = box_with(hardened, TpmDevice.made_by(Maker())), hardened.token()
    refused(hardened, box, token, box.ask(token), "EK_CERTIFICATE_INVALID")


def test_attack_ek_certificate_of_another_tpm(hardened: Collector) -> None:
    box, token = box_with(hardened), hardened.token()
    box.device.certificate = TpmDevice.made_by(MAKER).certificate
    refused(hardened, box, token, box.ask(token), "EK_CERTIFICATE_DIFFERS")


def test_attack_challenge_replayed(hardened: Collector) -> None:
    box, token = box_with(hardened), hardened.token()
    proof = box.device.answer(box.challenge(token))
    assert box.prove(token, proof).status == 200
    assert box.prove(token, proof).code == "CHALLENGE_USED"
    assert "CHALLENGE_USED" in str(last_audit(hardened))


def test_attack_a_wrong_answer_uses_its_challenge_up_but_not_the_token(hardened: Collector) -> None:
    box, token = box_with(hardened), hardened.token()
    proof = box.device.answer(box.challenge(token))
    refused(hardened, box, token, box.prove(token, replace(proof, secret=b"g" * 32)), "CREDENTIAL_DIFFERS")
    refused(hardened, box, token, box.prove(token, proof), "CHALLENGE_USED")
    assert box.enroll_by_tpm(token).status == 200


def test_attack_challenge_answered_too_late(hardened: Collector) -> None:
    box, token = box_with(hardened), hardened.token()
    challenge = box.challenge(token)
    hardened.clock.ahead_ns = 3 * MINUTE_NS
    refused(hardened, box, token, box.prove(token, box.device.answer(challenge)), "CHALLENGE_EXPIRED")


def test_attack_a_thousand_challenges_of_one_token_leave_eight(hardened: Collector) -> None:
    box, token = box_with(hardened), hardened.token()
    first = box.challenge(token)
    for _ in range(9):
        box.challenge(token)
    assert hardened.control("SELECT COUNT(*) FROM challenges") == [(8,)]
    refused(hardened, box, token, box.prove(token, box.device.answer(first)), "CHALLENGE_UNKNOWN")


def test_attack_revoked_key_with_a_new_token(hardened: Collector) -> None:
    box = box_with(hardened)
    box.enroll_by_tpm(hardened.token())
    control = Control.open(hardened.directory)
    with control.transaction() as connection:
        sensors.revoke(connection, box.sensor_id, "stolen", hardened.clock.wall_ns())
    control.close()
    assert box.ask(hardened.token()).code == "SENSOR_REVOKED"


@pytest.mark.parametrize("path", [TPM_CHALLENGE_PATH, TPM_ENROLL_PATH])
@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"\xff", b'{"ek_public": "AAAA"}', b"[" * 20_000])
def test_attack_bodies_of_no_form(hardened: Collector, path: str, body: bytes) -> None:
    box, token = box_with(hardened), hardened.token()
    box.learn_ca()
    answer = box._post(path, token, body)
    assert answer.code in ("RESIDENCY_INVALID", "BODY_TOO_LARGE")
    assert box._post(path, token, b"x" * 40_000).code == "BODY_TOO_LARGE"


def test_attack_enrollment_flood_is_slowed_and_makes_one_audit_row_a_minute(tmp_path: Path) -> None:
    def few(config: Config) -> Config:
        return replace(config, quota=replace(config.quota, enrollments_per_minute=5))

    collector = Collector(tmp_path / "collector", few)
    trust(collector, MAKER)
    collector.start()
    try:
        box, wrong = box_with(collector), str(EnrollmentToken("t-" + "a" * 12, "x" * 43))
        codes = [box.ask(wrong).code for _ in range(20)]
        assert codes == ["TOKEN_UNKNOWN"] * 5 + ["ENROLLMENT_RATE"] * 15
        rows = [str(row) for (row,) in collector.control("SELECT detail FROM audit WHERE action = 'refuse enrollment'")]
        assert [" ENROLLMENT_RATE" in row for row in rows] == [False] * 5 + [True]
        collector.clock.ahead_ns = 2 * MINUTE_NS
        assert box.enroll_by_tpm(collector.token()).status == 200
    finally:
        collector.stop()
