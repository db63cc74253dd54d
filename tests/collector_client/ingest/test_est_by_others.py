"""Clients that are not ours, curl and openssl, enroll by EST (RFC 7030) and speak over mutual TLS."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from appliance.wire.enrollment import EnrollmentToken
from tests.collector_client.harness import Collector

pytestmark = pytest.mark.skipif(
    shutil.which("curl") is None or shutil.which("openssl") is None, reason="needs curl and openssl"
)


def run(folder: Path, *argv: str) -> bytes:
    """Run a program in the folder; its standard output."""
    return subprocess.run(argv, cwd=folder, capture_output=True, check=True, timeout=60).stdout


@pytest.mark.parametrize("http", ["--http1.0", "--http1.1"])
def test_curl_and_openssl_enroll_and_are_known(collector: Collector, tmp_path: Path, http: str) -> None:
    base = f"https://{collector.address}"
    curl = ("curl", "--silent", "--show-error", "--fail", http, "--tlsv1.3")
    token = EnrollmentToken.parse(collector.token())
    (tmp_path / "ca.p7").write_bytes(run(tmp_path, *curl, "--insecure", f"{base}/.well-known/est/cacerts"))
    run(tmp_path, "openssl", "base64", "-d", "-in", "ca.p7", "-out", "ca.der")
    (tmp_path / "ca.pem").write_bytes(
        run(tmp_path, "openssl", "pkcs7", "-inform", "DER", "-in", "ca.der", "-print_certs")
    )
    run(tmp_path, "openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-keyout", "key.pem", "-subj", "/CN=any", "-outform", "DER", "-out", "csr.der")  # fmt: skip
    run(tmp_path, "openssl", "base64", "-in", "csr.der", "-out", "csr.b64")
    answer = run(tmp_path, *curl, "--cacert", "ca.pem", "--user", f"{token.token_id}:{token.secret}",
                 "--header", "Content-Type: application/pkcs10", "--data-binary", "@csr.b64",
                 f"{base}/.well-known/est/simpleenroll")  # fmt: skip
    (tmp_path / "cert.p7").write_bytes(answer)
    run(tmp_path, "openssl", "base64", "-d", "-in", "cert.p7", "-out", "cert.der")
    (tmp_path / "cert.pem").write_bytes(
        run(tmp_path, "openssl", "pkcs7", "-inform", "DER", "-in", "cert.der", "-print_certs")
    )
    known = run(tmp_path, *curl, "--cacert", "ca.pem", "--cert", "cert.pem", "--key", "key.pem", f"{base}/v1/config")
    assert json.loads(known)["version"] == 1
    ((sensor_id,),) = collector.control("SELECT sensor_id FROM sensors")
    subject = run(tmp_path, "openssl", "x509", "-in", "cert.pem", "-noout", "-subject", "-nameopt", "multiline")
    assert str(sensor_id) in subject.decode()
