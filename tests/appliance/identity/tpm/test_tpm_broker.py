"""The key through tpm2-abrmd, for systems on which the broker and not the kernel shares the TPM out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("tpm2_pytss", reason="needs tpm2-pytss (make setup-test)")

from tests.appliance.identity.tpm.test_tpm_tls import ROOT, client, enrolled, heard
from tests.fakes.broker import TCTI, broker
from tests.fakes.collector import FakeCollector
from tests.fakes.pki import Authority
from tests.fakes.swtpm import Swtpm

pytestmark = [pytest.mark.tpm, pytest.mark.tpm_broker]

PROVE = """
import sys
from pathlib import Path
from cryptography import x509
from appliance.identity import key_store
signer = key_store("tpm", sys.argv[2]).load(Path(sys.argv[1]))
csr = signer.sign_request(x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])))
certificate = x509.load_der_x509_certificate(signer.residency_request(csr).ek_certificate)
print(x509.load_der_x509_csr(csr).is_signature_valid, "swtpm" in certificate.issuer.rfc4514_string())
"""


def test_a_key_signs_and_is_proved_through_the_broker(tpm: Swtpm, tmp_path: Path) -> None:
    identity = enrolled(tmp_path / "identity", tpm.tcti, Authority())
    with broker(tpm, tmp_path / "broker") as environment:
        argv = [sys.executable, "-c", PROVE, str(identity.key_path), TCTI]
        done = subprocess.run(
            argv, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=60
        )
    assert (done.stdout.split(), done.returncode) == (["True", "True"], 0), done.stderr


@pytest.mark.tpm_tls
def test_the_server_takes_a_key_that_signs_through_the_broker(
    tpm: Swtpm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority()
    identity = enrolled(tmp_path / "identity", tpm.tcti, authority)
    with FakeCollector(authority, authority.server(tmp_path)) as collector, broker(tpm, tmp_path / "b") as environment:
        collector.heartbeat_refusals.append(heard())
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        assert "heard" in client(identity, TCTI, collector.url)
