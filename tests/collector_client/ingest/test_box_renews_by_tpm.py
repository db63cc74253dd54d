"""The appliance renews with a fresh key in a real TPM (swtpm), and the TPM keeps nothing of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("tpm2_pytss", reason="needs tpm2-pytss (make setup-test)")

from tpm2_pytss import ESYS_TR, TPM2_CAP, TPM2_HC

from appliance.clock import SystemClock
from appliance.enroll import EnrollmentRefusedError, RenewalPlan, renew
from appliance.enroll.refused import refused
from appliance.enroll.reissue import Reissue
from appliance.identity import Answer, IdentityFolder, TpmKeyLostError
from appliance.identity.certificates import parse_pem
from appliance.identity.tpm import TpmKeyStore
from appliance.identity.tpm.session import open_tpm
from appliance.wire.enrollment import encode_base64
from collector_client.pki import PKI_NAME, Authority
from tests.collector_client.boxes import Box
from tests.collector_client.harness import Collector
from tests.collector_client.ingest.test_box_renews import many
from tests.fakes.dying_box import Job
from tests.fakes.swtpm import Swtpm

pytestmark = [pytest.mark.tpm, pytest.mark.tpm_tls, pytest.mark.timeout(300)]


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    made = Collector(tmp_path / "collector", many)
    yield made.start()
    made.stop()


@pytest.fixture
def box(collector: Collector, tmp_path: Path, tpm: Swtpm) -> Box:
    return Box(collector, tmp_path / "box", tpm)


def folder_of(job: Job) -> IdentityFolder:
    return IdentityFolder(Path(job.state), TpmKeyStore(job.tcti))


def handles(tpm: Swtpm, first: int) -> list[int]:
    with open_tpm(tpm.tcti) as opened:
        _, data = opened.esapi.get_capability(TPM2_CAP.HANDLES, first, 254)
        return list(data.data.handles)


def renewed(box: Box, job: Job) -> dict[str, object]:
    done = box.run(job)
    assert done.returncode == 0, done.stderr
    said: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return said


def test_each_renewal_makes_a_fresh_key_and_leaves_nothing_of_any_in_the_tpm(
    collector: Collector, box: Box, tpm: Swtpm
) -> None:
    job = box.enrolled()
    kept = handles(tpm, TPM2_HC.PERSISTENT_FIRST)
    blob = (Path(job.state) / "key.pem").read_bytes()
    seen = [renewed(box, job) for _ in range(3)]
    keys = {said["key"] for said in seen}
    assert len(keys) == 3
    assert {said["sensor"] for said in seen} == {next(iter({said["sensor"] for said in seen}))}
    assert not keys & {seen[0]["sensor"]}
    assert handles(tpm, TPM2_HC.PERSISTENT_FIRST) == kept
    assert handles(tpm, TPM2_HC.TRANSIENT_FIRST) == []
    assert not (Path(job.state) / "key.pem").exists()
    assert [path.name for path in Path(job.state).glob("pair-*")] == ["pair-3"]
    now = (Path(job.state) / "pair-3" / "key.pem").read_bytes()
    assert b"TSS2 PRIVATE KEY" in now
    assert now != blob
    assert collector.control("SELECT assurance FROM sensors") == [("tpm",)]
    assert collector.control("SELECT COUNT(*) FROM residencies") == [(4,)]


def test_an_ended_certificate_recovers_with_a_fresh_key_and_its_proof(collector: Collector, box: Box) -> None:
    job = box.enrolled(days_ago=40)
    said = renewed(box, job)
    assert said["key"] != said["sensor"]
    actions = [action for (action,) in collector.control("SELECT action FROM audit ORDER BY audit_id")]
    assert "recover" in actions
    assert actions.count("prove residency") == 2


def test_a_cleared_tpm_is_named_with_the_way_back_and_the_collector_is_not_asked(
    collector: Collector, box: Box, tpm: Swtpm
) -> None:
    job = box.enrolled()
    with open_tpm(tpm.tcti) as opened:
        opened.esapi.clear(ESYS_TR.LOCKOUT)
    before = collector.control("SELECT COUNT(*) FROM audit")
    with pytest.raises(TpmKeyLostError, match="does not know the key") as lost:
        renew(RenewalPlan.parse(urls=[job.url]), folder_of(job), SystemClock())
    assert "cleared" in lost.value.advice
    assert "enroll again with a new token" in lost.value.advice
    assert collector.control("SELECT COUNT(*) FROM audit") == before
    assert not list(Path(job.state).glob("pair-*"))


def test_a_collector_without_renewal_by_tpm_is_named_and_nothing_weaker_is_tried(box: Box) -> None:
    identity = folder_of(box.enrolled()).load()
    signer, ca = identity.signer, Authority.open(box.collector.directory / PKI_NAME)
    exchange = Reissue(
        "https://old",
        sensor_id="s-" + "a" * 20,
        trusted=parse_pem("ca.pem", identity.ca_path.read_bytes()),
        spki=signer.spki_der(),
        csr_der=b"",
        residency=signer.residency_request(b"csr"),  # type: ignore[attr-defined]
    )
    exchange.answered(Answer(200, {}, encode_base64(ca.ca_certs_only())), SystemClock().wall_ns())
    with pytest.raises(EnrollmentRefusedError, match="does not know keys in a TPM") as told:
        exchange.answered(Answer(404, {}, b""), 0)
    assert "update the collector" in told.value.advice
    assert refused("https://old", Answer(404, {}, b"")).advice != told.value.advice


HELD = """
import sys
from pathlib import Path
from appliance.clock import SystemClock
from appliance.enroll import RenewalPlan, renew
from appliance.identity import IdentityFolder, key_store
folder = IdentityFolder(Path(sys.argv[1]), key_store("tpm", sys.argv[2]))
held = folder.load().context()
renew(RenewalPlan.parse(urls=[sys.argv[3]]), folder, SystemClock())
print("renewed", held is not None)
"""


def test_a_tpm_without_resource_manager_has_room_for_a_renewal_beside_the_uplinks_key(box: Box) -> None:
    """Three slots: the uplink's key is loaded for as long as the daemon runs."""
    job = box.enrolled()
    done = box.python(HELD, job.state, job.tcti, job.url)
    assert done.stdout == "renewed True\n", done.stderr
