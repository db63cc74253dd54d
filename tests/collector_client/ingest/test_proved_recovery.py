"""An expired sensor recovers with a fresh key in its TPM, by its old key's signature and a proof; attacks do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from appliance.wire.residency import TPM_RECOVER_PATH, ResidencyChallenge
from tests.collector_client.harness import DAY_NS, Collector
from tests.collector_client.ingest.test_proved_renewal import MAKER, enrolled, fresh, quarantine, refused, revoke
from tests.collector_client.ingest.test_residency import strict, trust
from tests.fakes.tpm_device import TpmDevice
from tests.fakes.tpm_sensor import TpmSensor


@pytest.fixture
def hardened(tmp_path: Path) -> Iterator[Collector]:
    """In production, trusting one maker."""
    made = Collector(tmp_path / "collector", strict)
    trust(made, MAKER)
    yield made.start()
    made.stop()


def late(collector: Collector, days: int) -> TpmSensor:
    """A sensor whose certificate of 30 days ended so many days ago, by the collector's clock."""
    box = enrolled(collector)
    collector.clock.ahead_ns = (30 + days) * DAY_NS
    return box


def test_an_expired_sensor_recovers_with_a_fresh_key_and_its_proof(hardened: Collector) -> None:
    box = late(hardened, 1)
    assert box.recover_by_tpm(fresh(box.device)).status == 200
    assert hardened.control("SELECT by_key FROM residencies ORDER BY residency_id") == [(None,), (box.sensor_id,)]
    actions = [action for (action,) in hardened.control("SELECT action FROM audit ORDER BY audit_id")]
    assert actions[-2:] == ["recover", "prove residency"]


def stranger(box: TpmSensor) -> bytes:
    return box.recovery_by_tpm(fresh(box.device), ec.generate_private_key(ec.SECP256R1()))


def other_tpm(box: TpmSensor) -> bytes:
    return box.recovery_by_tpm(TpmDevice.made_by(MAKER))


@pytest.mark.parametrize(
    ("days", "body", "code"),
    [
        (1, stranger, "PROOF_INVALID"),
        (1, other_tpm, "TPM_DIFFERS"),
        (31, lambda box: box.recovery_by_tpm(fresh(box.device)), "RECOVERY_TOO_LATE"),
    ],
    ids=["another key's signature", "another TPM", "too late"],
)
def test_attack_recovery(hardened: Collector, days: int, body: Callable[[TpmSensor], bytes], code: str) -> None:
    box = late(hardened, days)
    refused(hardened, box, box.recover_challenge(box.device, body(box)), code, "recover refused")


@pytest.mark.parametrize("spoil", [revoke, quarantine])
def test_attack_revoked_or_quarantined_while_it_recovers(
    hardened: Collector, spoil: Callable[[Collector, TpmSensor], str]
) -> None:
    box = late(hardened, 1)
    device = fresh(box.device)
    proof = device.answer(ResidencyChallenge.decode(box.recover_challenge(device).body))
    code = spoil(hardened, box)
    refused(hardened, box, box.request("POST", TPM_RECOVER_PATH, proof.encode()), code, "recover refused")
    refused(hardened, box, box.recover_challenge(device), code, "recover refused")


def test_attack_a_wrong_answer_recovers_nothing_and_says_whose_it_was(hardened: Collector) -> None:
    box = late(hardened, 1)
    answer = box.recover_by_tpm(fresh(box.device), secret=b"g" * 32)
    refused(hardened, box, answer, "CREDENTIAL_DIFFERS", "recover refused")


def test_a_request_for_recovery_around_a_certificate_request_is_no_residency_request(hardened: Collector) -> None:
    box = late(hardened, 1)
    plain = box.recovery(ec.generate_private_key(ec.SECP256R1()))
    assert box.recover_challenge(box.device, plain).code == "RESIDENCY_INVALID"
    assert box.recover(box.recovery_by_tpm(box.device)).code == "REQUEST_INVALID"
