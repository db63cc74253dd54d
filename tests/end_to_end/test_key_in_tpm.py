"""`vedette enroll` and `vedette run` with the key in a TPM: events arrive over TLS that only it can sign."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

pytest.importorskip("tpm2_pytss", reason="needs tpm2-pytss (make setup-test)")

from appliance.wire.enrollment import EnrollmentToken
from tests.fakes.collector import FakeCollector, Fault
from tests.fakes.pki import Authority
from tests.fakes.residency import ResidencyDesk
from tests.fakes.swtpm import Swtpm, Tap, fresh

ROOT = Path(__file__).parents[2]
PCAP = ROOT / "tests" / "traffic" / "pcaps" / "http-probe.pcap"
TOKEN = EnrollmentToken("t-abcdefghijkl", "S" * 40)

pytestmark = [pytest.mark.tpm, pytest.mark.tpm_tls, pytest.mark.timeout(300)]


@pytest.fixture
def collector(tpm: Swtpm, tmp_path: Path) -> Iterator[FakeCollector]:
    authority = Authority()
    with FakeCollector(authority, authority.server(tmp_path)) as fake:
        fake.tokens[TOKEN.token_id] = TOKEN
        fake.residency = ResidencyDesk(*map(x509.load_pem_x509_certificate, (tpm.ca.root_pem, tpm.ca.issuer_pem)))
        yield fake


def configure(folder: Path, collector: FakeCollector, tcti: str, key_store: str = "tpm") -> Path:
    """The sensor's configuration: one capture file, then the end."""
    path = folder / "vedette.toml"
    path.write_text(
        f"""\
[sensor]
state_dir = {json.dumps(str(folder / "sensor"))}
hostname = "box"
address = "127.0.0.1"
[collector]
urls = ["{collector.url}"]
ca_pin = "{collector.authority.pin}"
token = "{TOKEN}"
[identity]
key_store = "{key_store}"
tcti = "{tcti}"
[capture]
files = [{json.dumps(str(PCAP))}]
when_done = "exit"
[rules]
home_net = "any"
[uplink]
flush_ms = 50
""",
        encoding="utf-8",
    )
    return path


def vedette(command: str, config: Path) -> subprocess.CompletedProcess[str]:
    """One command of the sensor, to its end."""
    argv = [sys.executable, "-m", "appliance", command, "--config", str(config)]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_events_arrive_over_a_key_that_never_left_the_tpm(tpm: Swtpm, collector: FakeCollector, tmp_path: Path) -> None:
    with Tap(tpm) as tap:
        config = configure(tmp_path, collector, tap.tcti)
        enrolled = vedette("enroll", config)
        assert enrolled.returncode == 0, enrolled.stderr
        assert len(collector.residency.proofs) == 1
        before = tap.commands["Sign"]
        ran = vedette("run", config)
        assert ran.returncode == 0, ran.stderr
        assert collector.store
        assert tap.commands["Sign"] - before >= 1
    assert {sensor for sensor, _, _ in collector.store} == {enrolled.stdout.split()[2]}
    assert b"BEGIN TSS2 PRIVATE KEY" in (tmp_path / "sensor" / "identity" / "key.pem").read_bytes()


def test_a_run_whose_connection_is_cut_asks_the_tpm_for_one_signature_in_all(
    tpm: Swtpm, collector: FakeCollector, tmp_path: Path
) -> None:
    with Tap(tpm) as tap:
        config = configure(tmp_path, collector, tap.tcti)
        assert vedette("enroll", config).returncode == 0
        connections, before = collector.connections, tap.commands["Sign"]
        collector.faults.append(Fault.CUT_AFTER_STORE)
        ran = vedette("run", config)
        assert ran.returncode == 0, ran.stderr
        assert collector.store
        assert (collector.connections - connections, collector.resumed) == (2, 1)
        assert tap.commands["Sign"] - before == 1


def test_a_tpm_that_is_gone_stops_the_daemon_by_name(tpm: Swtpm, collector: FakeCollector, tmp_path: Path) -> None:
    config = configure(tmp_path, collector, tpm.tcti)
    assert vedette("enroll", config).returncode == 0
    tpm.cut()
    ran = vedette("run", config)
    assert (ran.returncode, collector.store) == (4, {})
    assert "does not answer" in ran.stderr
    assert "[identity] tcti" in ran.stderr


def doctor(config: Path) -> dict[str, tuple[str, str]]:
    """The failed checks of `vedette doctor`: text and advice by name."""
    argv = [sys.executable, "-m", "appliance", "doctor", "--json", "--config", str(config)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    checks = json.loads(done.stdout)["checks"]
    failed = {item["check"]: (item["text"], item["advice"]) for item in checks if item["state"] == "failed"}
    assert done.returncode == bool(failed)
    return failed


def test_the_doctor_names_a_tpm_that_stopped_and_one_that_is_another(
    tpm: Swtpm, collector: FakeCollector, tmp_path: Path
) -> None:
    config = configure(tmp_path, collector, tpm.tcti)
    assert vedette("enroll", config).returncode == 0
    assert doctor(config) == {}
    with fresh(tmp_path / "other", tpm.ca) as other:
        ((check, (text, advice)),) = doctor(configure(tmp_path, collector, other.tcti)).items()
    assert (check, "does not know the key" in text, "moved to another box" in advice) == ("key", True, True)
    configure(tmp_path, collector, tpm.tcti)
    tpm.cut()
    ((check, (text, advice)),) = doctor(config).items()
    assert (check, "does not answer" in text, "[identity] tcti" in advice) == ("key", True, True)


def test_another_key_store_than_the_enrolled_one_stops_both(
    tpm: Swtpm, collector: FakeCollector, tmp_path: Path
) -> None:
    assert vedette("enroll", configure(tmp_path, collector, tpm.tcti)).returncode == 0
    config = configure(tmp_path, collector, tpm.tcti, key_store="software")
    for command in ("enroll", "run"):
        done = vedette(command, config)
        assert done.returncode == 4
        assert "a key in a TPM came, a software key was allowed" in done.stderr
