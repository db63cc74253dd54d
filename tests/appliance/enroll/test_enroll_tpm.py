"""Enrollment with a key in a TPM, against a collector that checks where it lives; broken off anywhere, it ends well."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509

pytest.importorskip("tpm2_pytss", reason="needs tpm2-pytss (make setup-test)")

from appliance.clock import SystemClock
from appliance.enroll import Enrolled, EnrollmentPlan, EnrollmentRefusedError, IssuedWrongError, TokenUsedError, enroll
from appliance.enroll.steps import NEXT, Step
from appliance.identity import CollectorUrl, IdentityFolder, TpmKeyLostError, TpmMissingError
from appliance.identity.tpm import TpmKeyStore
from appliance.wire.enrollment import EnrollmentToken
from appliance.wire.residency import ResidencyChallenge, ResidencyRequest
from appliance.wire.session import Refusal
from tests.fakes.collector import FakeCollector
from tests.fakes.pki import Authority
from tests.fakes.residency import ResidencyDesk
from tests.fakes.swtpm import Swtpm, fresh

pytestmark = pytest.mark.tpm

TOKEN = EnrollmentToken("t-abcdefghijkl", "S" * 40)
CHALLENGE_GONE = Refusal(403, "30280 CHALLENGE_UNKNOWN", "an id", "the id of an open challenge", "Ask again.", None)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def collector(authority: Authority, tpm: Swtpm, tmp_path: Path) -> Iterator[FakeCollector]:
    with FakeCollector(authority, authority.server(tmp_path)) as fake:
        fake.tokens[TOKEN.token_id] = TOKEN
        fake.residency = ResidencyDesk(*map(x509.load_pem_x509_certificate, (tpm.ca.root_pem, tpm.ca.issuer_pem)))
        yield fake


@pytest.fixture
def folder(tpm: Swtpm, tmp_path: Path) -> IdentityFolder:
    return IdentityFolder(tmp_path / "identity", TpmKeyStore(tpm.tcti))


def run(collector: FakeCollector, folder: IdentityFolder, on_step: Any = lambda _: None) -> Enrolled:
    plan = EnrollmentPlan([CollectorUrl.parse(collector.url)], collector.authority.pin, TOKEN, timeout_s=10)
    return enroll(plan, folder, SystemClock(), on_step=on_step)


def test_a_key_in_a_tpm_enrolls_with_its_proof(collector: FakeCollector, folder: IdentityFolder) -> None:
    steps: list[str] = []
    done = run(collector, folder, steps.append)
    assert len(collector.residency.proofs) == 1
    assert folder.load().certificate == done.certificate
    assert folder.load().signer.assurance == "tpm"
    assert sum("TPM" in step for step in steps) == 2
    assert run(collector, folder).already


@pytest.mark.parametrize("step", [step for step in NEXT[True] if step is not Step.CA], ids=lambda step: step.value)
def test_a_power_cut_before_any_step_is_made_up_for(
    step: Step, collector: FakeCollector, folder: IdentityFolder
) -> None:
    class PowerCutError(BaseException):
        """Ends the process here."""

    words = {Step.CHALLENGE: "asking for a challenge", Step.PROOF: "answers", Step.CERTIFICATE: "certificate request"}

    def cut(said: str) -> None:
        if words[step] in said:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        run(collector, folder, cut)
    assert not folder.certificate_path.exists()
    key = folder.keys.load(folder.key_path).spki_der()
    assert run(collector, folder).already is False
    assert folder.load().signer.spki_der() == key


def test_a_lost_last_answer_is_asked_for_again(collector: FakeCollector, folder: IdentityFolder) -> None:
    """The token is used by then; the same key gets its certificate all the same."""
    run(collector, folder)
    folder.certificate_path.unlink()
    assert run(collector, folder).already is False


def test_a_challenge_that_ran_out_is_asked_for_once_more(collector: FakeCollector, folder: IdentityFolder) -> None:
    answered = collector.residency.challenge

    def challenge(request: ResidencyRequest) -> ResidencyChallenge:
        if not collector.residency_refusals and collector.residency.given is None:
            collector.residency_refusals.append(CHALLENGE_GONE)
        return answered(request)

    collector.residency.challenge = challenge
    assert run(collector, folder).already is False


def test_a_challenge_that_always_runs_out_ends_with_the_collectors_words(
    collector: FakeCollector, folder: IdentityFolder
) -> None:
    answered = collector.residency.challenge

    def challenge(request: ResidencyRequest) -> ResidencyChallenge:
        collector.residency_refusals.append(CHALLENGE_GONE)
        return answered(request)

    collector.residency.challenge = challenge
    with pytest.raises(EnrollmentRefusedError, match="CHALLENGE_UNKNOWN"):
        run(collector, folder)
    assert not folder.certificate_path.exists()


def test_a_collector_that_knows_no_tpm_is_named_and_nothing_weaker_is_tried(
    collector: FakeCollector, folder: IdentityFolder
) -> None:
    collector.residency = None
    with pytest.raises(EnrollmentRefusedError, match="does not know keys in a TPM"):
        run(collector, folder)
    assert collector.used == {}


def test_a_challenge_of_another_form_is_refused(collector: FakeCollector, folder: IdentityFolder) -> None:
    collector.residency = SimpleNamespace(challenge=lambda _: SimpleNamespace(encode=lambda: b'{"nonce":"no"}'))
    with pytest.raises(IssuedWrongError, match="residency challenge"):
        run(collector, folder)


def test_a_stolen_token_is_worth_nothing_to_another_box(
    collector: FakeCollector, folder: IdentityFolder, tpm: Swtpm, tmp_path: Path
) -> None:
    run(collector, folder)
    with fresh(tmp_path / "thief", tpm.ca) as other, pytest.raises(TokenUsedError):
        run(collector, IdentityFolder(tmp_path / "theirs", TpmKeyStore(other.tcti)))


def test_a_moved_disk_is_told_although_its_certificate_is_good(
    collector: FakeCollector, folder: IdentityFolder, tpm: Swtpm, tmp_path: Path
) -> None:
    run(collector, folder)
    with fresh(tmp_path / "other", tpm.ca) as other, pytest.raises(TpmKeyLostError, match="does not know"):
        run(collector, IdentityFolder(folder.key_path.parent, TpmKeyStore(other.tcti)))


def test_no_tpm_no_enrollment(collector: FakeCollector, tmp_path: Path) -> None:
    with pytest.raises(TpmMissingError):
        run(collector, IdentityFolder(tmp_path / "identity", TpmKeyStore("device:/dev/no-such-tpm")))
    assert collector.connections == 0
