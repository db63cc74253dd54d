"""TLS with the key in the TPM, in a process of its own as `vedette run` is, against a real server on loopback."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("tpm2_pytss", reason="needs tpm2-pytss (make setup-test)")

from appliance.identity import IdentityFolder, ProviderMissingError
from appliance.identity.tpm import TpmKeyStore, provider
from appliance.wire.codes import SessionCode
from appliance.wire.session import Refusal
from tests.fakes.collector import FakeCollector
from tests.fakes.pki import Authority, pem
from tests.fakes.swtpm import Swtpm, Tap

ROOT = Path(__file__).parents[4]

pytestmark = [pytest.mark.tpm, pytest.mark.tpm_tls]

# Heartbeats over as many connections as asked; prints the status of each answer, or the error.
CLIENT = """
import sys
from pathlib import Path
from appliance.errors import ApplianceError
from appliance.identity import CollectorUrl, HttpsConnection, IdentityFolder, key_store
from appliance.wire.session import HEARTBEAT_PATH
folder, tcti, url, connections, requests, between = sys.argv[1:]
try:
    context = IdentityFolder(Path(folder), key_store("tpm", tcti)).load().context()
    exec(between)
    for _ in range(int(connections)):
        connection = HttpsConnection(CollectorUrl.parse(url), context=context, timeout_s=30)
        for _ in range(int(requests)):
            answer = connection.request("POST", HEARTBEAT_PATH, headers={}, body=b"{}", max_answer_bytes=65536)
            print(answer.status, answer.body.decode())
        connection.close()
except ApplianceError as error:
    print(type(error).__name__, error)
"""


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def heard() -> Refusal:
    """What the fake says to a client that it knows by its certificate."""
    return Refusal(429, str(SessionCode.BUSY), "heard", "nothing", "wait", None)


def enrolled(folder: Path, tcti: str, authority: Authority) -> IdentityFolder:
    """An identity whose key is in the TPM."""
    identity = IdentityFolder(folder, TpmKeyStore(tcti))
    key = identity.keys.load_or_create(identity.key_path).public_key
    identity.write(
        ca_pem=pem(authority.root, authority.issuing), certificate_pem=pem(authority.sensor(key), authority.issuing)
    )
    return identity


def client(
    identity: IdentityFolder,
    tcti: str,
    url: str,
    *,
    connections: int = 1,
    requests: int = 1,
    entered: bool = True,
    between: str = "",
) -> str:
    """What the client prints; `between` is run after the key is loaded and before it is used."""
    configuration = identity.key_path.with_name("openssl.cnf")
    provider.write_configuration(configuration)
    environment = provider.environment(tcti, configuration) if entered else {}
    argv = [str(identity.key_path.parent), tcti, url, str(connections), str(requests), between]
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, *argv], cwd=ROOT, env={**os.environ, **environment}, check=False,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_server_takes_the_key_in_the_tpm_for_the_sensor(tpm: Swtpm, authority: Authority, tmp_path: Path) -> None:
    identity = enrolled(tmp_path / "identity", tpm.tcti, authority)
    with FakeCollector(authority, authority.server(tmp_path)) as collector:
        # Refused for what it says, by a server that has seen whose certificate it is.
        collector.heartbeat_refusals.append(heard())
        assert "heard" in client(identity, tpm.tcti, collector.url)


def test_the_tpm_signs_once_for_each_full_handshake_and_for_nothing_else(
    tpm: Swtpm, authority: Authority, tmp_path: Path
) -> None:
    identity = enrolled(tmp_path / "identity", tpm.tcti, authority)
    with FakeCollector(authority, authority.server(tmp_path)) as collector, Tap(tpm) as tap:
        collector.heartbeat_refusals.extend(heard() for _ in range(12))
        assert client(identity, tap.tcti, collector.url, connections=3, requests=4).count("heard") == 12
        assert collector.connections == 3
        assert (tap.commands["Sign"], tap.commands["Load"]) == (3, 1)


RESUMING = """
import sys, threading
from pathlib import Path
from appliance.identity import CollectorUrl, HttpsConnection, IdentityFolder, Resumption, key_store
from appliance.wire.session import HEARTBEAT_PATH
folder, tcti, url = sys.argv[1:]
identity, resumption = IdentityFolder(Path(folder), key_store("tpm", tcti)).load(), Resumption()
parsed = CollectorUrl.parse(url)
def ask():
    context = resumption.context(identity)
    connection = HttpsConnection(parsed, context=context, timeout_s=30, resumption=resumption)
    answer = connection.request("POST", HEARTBEAT_PATH, headers={}, body=b"{}", max_answer_bytes=65536)
    connection.close()
    return answer.body.decode()
"""


def resuming(identity: IdentityFolder, tcti: str, url: str, what: str) -> str:
    """What a program prints that has `ask`, by which a heartbeat goes over a connection of its own."""
    configuration = identity.key_path.with_name("openssl.cnf")
    provider.write_configuration(configuration)
    done = subprocess.run(
        [sys.executable, "-c", RESUMING + what, str(identity.key_path.parent), tcti, url],
        cwd=ROOT, env={**os.environ, **provider.environment(tcti, configuration)}, check=False,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_one_signature_carries_a_connection_and_all_that_resume_it(
    tpm: Swtpm, authority: Authority, tmp_path: Path
) -> None:
    identity = enrolled(tmp_path / "identity", tpm.tcti, authority)
    with FakeCollector(authority, authority.server(tmp_path)) as collector, Tap(tpm) as tap:
        collector.heartbeat_refusals.extend(heard() for _ in range(6))
        said = resuming(identity, tap.tcti, collector.url, "for _ in range(6): print(ask())")
        assert said.count("heard") == 6
        assert (collector.connections, collector.resumed) == (6, 5)
        assert (tap.commands["Sign"], tap.commands["Load"]) == (1, 1)


def test_a_tpm_that_is_slow_to_sign_holds_up_the_thread_of_the_handshake_and_no_other(
    tpm: Swtpm, authority: Authority, tmp_path: Path
) -> None:
    """The signature is let through only when the other thread has done its work; a held interpreter would never end."""
    identity = enrolled(tmp_path / "identity", tpm.tcti, authority)
    what = """
uplink = threading.Thread(target=lambda: print(ask()))
uplink.start()
worked = 0
while sys.stdin.buffer.raw.read(1) == b"?":
    worked += sum(1 for _ in range(10_000))
    print("worked", worked, flush=True)
uplink.join()
"""
    configuration = identity.key_path.with_name("openssl.cnf")
    provider.write_configuration(configuration)
    with FakeCollector(authority, authority.server(tmp_path)) as collector, Tap(tpm, hold="Sign") as tap:
        collector.heartbeat_refusals.append(heard())
        process = subprocess.Popen(
            [sys.executable, "-c", RESUMING + what, str(identity.key_path.parent), tap.tcti, collector.url],
            cwd=ROOT, env={**os.environ, **provider.environment(tap.tcti, configuration)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        with process:
            assert process.stdin
            assert process.stdout
            assert tap.held.wait(60)
            for asked in (1, 2):
                process.stdin.write("?")
                process.stdin.flush()
                assert process.stdout.readline() == f"worked {asked * 10_000}\n"
            assert collector.connections == 0
            tap.let_go.set()
            said, _ = process.communicate(timeout=60)
        assert "heard" in said


def test_another_tpm_does_not_speak_for_the_sensor(
    tpm: Swtpm, other_tpm: Swtpm, authority: Authority, tmp_path: Path
) -> None:
    """The whole disk copied into another box."""
    identity = enrolled(tmp_path / "identity", tpm.tcti, authority)
    TpmKeyStore(other_tpm.tcti).load_or_create(tmp_path / "its own key.pem")
    with FakeCollector(authority, authority.server(tmp_path)) as collector:
        said = client(identity, other_tpm.tcti, collector.url)
        assert collector.connections == 0
    assert said.startswith("TpmRefusedError")
    assert "did not load the key" in said


def test_a_tpm_that_is_gone_at_the_handshake_never_lets_us_speak_for_the_sensor(
    tpm: Swtpm, authority: Authority, tmp_path: Path
) -> None:
    """OpenSSL 3.5 breaks off; 3.0 goes on without our certificate, which is why `uplink` looks at the answer."""
    identity = enrolled(tmp_path / "identity", tpm.tcti, authority)
    with FakeCollector(authority, authority.server(tmp_path)) as collector:
        collector.heartbeat_refusals.append(heard())
        off = f"import subprocess; subprocess.run(['swtpm_ioctl', '--tcp', '127.0.0.1:{tpm.port + 1}', '-s'])"
        said = client(identity, tpm.tcti, collector.url, between=off)
        assert "CERTIFICATE_MISSING" in said or "OpenSSL gave no reason" in said
        assert "heard" not in said


def test_without_the_provider_there_is_a_named_error_and_no_connection(
    tpm: Swtpm, authority: Authority, tmp_path: Path
) -> None:
    identity = enrolled(tmp_path / "identity", tpm.tcti, authority)
    with pytest.raises(ProviderMissingError, match="not active"):
        identity.load().context()
    with FakeCollector(authority, authority.server(tmp_path)) as collector:
        said = client(identity, tpm.tcti, collector.url, entered=False)
        assert collector.connections == 0
    assert said.startswith("ProviderMissingError")


def test_an_older_provider_is_refused_by_version(
    tpm: Swtpm, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1.1.1 loads, takes the key, and then "signs" without it."""
    identity = enrolled(tmp_path / "identity", tpm.tcti, authority)
    monkeypatch.setattr(provider, "_active_version", lambda: "1.1.1")
    with pytest.raises(ProviderMissingError, match=r"1\.1\.1 came, 1\.3\.0"):
        identity.load().context()


def test_this_process_keeps_its_own_openssl() -> None:
    """The provider is for processes that were started for it."""
    assert "OPENSSL_CONF" not in os.environ
    assert ssl.create_default_context() is not None
    assert provider._active_version() is None
