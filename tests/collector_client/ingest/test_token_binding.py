"""A token for one TPM enrolls that one alone, one taken back enrolls nobody; who is refused uses neither up."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from appliance.wire.enrollment import EnrollmentToken
from collector_client.store import Control
from collector_client.tokens import revoke_token
from tests.collector_client.harness import Collector
from tests.fakes.tpm_device import Maker, TpmDevice, spki
from tests.fakes.tpm_sensor import TpmSensor

MAKER = Maker()


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    """One that trusts one maker of TPMs, and takes software keys too."""
    made = Collector(tmp_path / "collector")
    folder = made.directory / "pki" / "tpm-roots"
    folder.mkdir()
    (folder / "maker.pem").write_bytes(MAKER.pem)
    yield made.start()
    made.stop()


def box_with(collector: Collector, device: TpmDevice) -> TpmSensor:
    return collector.adopt(TpmSensor(collector.address, device))


def ek_of(device: TpmDevice) -> bytes:
    return hashlib.sha256(spki(device.ek.key.public_key())).digest()


def last_refusal(collector: Collector, token: str) -> str:
    rows = collector.control("SELECT action, subject, detail FROM audit ORDER BY audit_id DESC LIMIT 1")
    action, subject, detail = rows[0]
    assert (action, subject) == ("refuse enrollment", EnrollmentToken.parse(token).token_id)
    return str(detail)


def test_attack_token_of_one_tpm_in_a_box_with_another_or_with_a_software_key(collector: Collector) -> None:
    device, other = TpmDevice.made_by(MAKER), TpmDevice.made_by(MAKER)
    token = collector.token(ek_sha256=ek_of(device))
    answer = box_with(collector, other).ask(token)
    assert (answer.status, answer.code) == (403, "TOKEN_OTHER_TPM")
    assert ek_of(other).hex() in last_refusal(collector, token)
    assert collector.box().enroll(token).code == "TOKEN_OTHER_TPM"
    assert "a key that no TPM vouches for" in last_refusal(collector, token)
    assert collector.control("SELECT used_ns FROM tokens") == [(None,)]
    assert collector.control("SELECT COUNT(*) FROM sensors") == [(0,)]
    assert box_with(collector, device).enroll_by_tpm(token).status == 200


def test_a_box_that_lost_its_answer_still_gets_it_with_a_bound_token(collector: Collector) -> None:
    device = TpmDevice.made_by(MAKER)
    box, token = box_with(collector, device), collector.token(ek_sha256=ek_of(device))
    assert box.enroll_by_tpm(token).status == 200
    first = box.certificate
    assert box.enroll_by_tpm(token).status == 200
    assert box.certificate == first


def test_attack_bound_token_whose_challenge_was_made_for_the_right_tpm_does_not_enroll_a_software_key(
    collector: Collector,
) -> None:
    device = TpmDevice.made_by(MAKER)
    token = collector.token(ek_sha256=ek_of(device))
    box_with(collector, device).challenge(token)
    assert collector.box().enroll(token).code == "TOKEN_OTHER_TPM"


def test_a_token_taken_back_enrolls_neither_kind_of_key(collector: Collector) -> None:
    token = collector.token()
    with closing(Control.open(collector.directory)) as control:
        revoke_token(control, EnrollmentToken.parse(token).token_id, "lost", collector.clock.wall_ns(), by="ann")
    answer = collector.box().enroll(token)
    assert (answer.status, answer.code) == (401, "TOKEN_REVOKED")
    assert "TOKEN_REVOKED" in last_refusal(collector, token)
    assert box_with(collector, TpmDevice.made_by(MAKER)).ask(token).code == "TOKEN_REVOKED"
    assert collector.control("SELECT COUNT(*) FROM sensors") == [(0,)]


def test_a_token_taken_back_between_challenge_and_answer_enrolls_nobody(collector: Collector) -> None:
    token, box = collector.token(), box_with(collector, TpmDevice.made_by(MAKER))
    challenge = box.challenge(token)
    with closing(Control.open(collector.directory)) as control:
        revoke_token(control, EnrollmentToken.parse(token).token_id, "", collector.clock.wall_ns())
    assert box.prove(token, box.device.answer(challenge)).code == "TOKEN_REVOKED"
    assert collector.control("SELECT COUNT(*) FROM sensors") == [(0,)]
