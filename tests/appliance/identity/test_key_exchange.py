"""Keys are agreed on with ML-KEM beside X25519 wherever OpenSSL has it (3.5 on): our contexts say nothing of groups.

On an older OpenSSL these say so and are skipped; `make conformance-tls` runs them on Debian 13's.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from appliance.identity import IdentityFolder, SoftKeyStore
from appliance.identity.tls import enrollment_context, unverified_context
from collector_client.pki import Authority
from tests.fakes.handshake import shake_hands

HYBRID = "X25519MLKEM768"
hybrid = pytest.mark.skipif(
    ssl.OPENSSL_VERSION_INFO < (3, 5), reason=f"{ssl.OPENSSL_VERSION} has no ML-KEM; make conformance-tls"
)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "pki", ["127.0.0.1"], time.time_ns())


def enrolled(authority: Authority, folder: Path) -> ssl.SSLContext:
    """The context of a sensor at work."""
    identity = IdentityFolder(folder / "identity", SoftKeyStore())
    identity.key_path.parent.mkdir(mode=0o700)
    key = identity.keys.load_or_create(identity.key_path).public_key
    issued = x509.load_der_x509_certificate(authority.issue_sensor(key, time.time_ns(), 30).der)
    identity.write(ca_pem=authority.ca_pem(), certificate_pem=issued.public_bytes(Encoding.PEM))
    return identity.load().context()


CONTEXTS: dict[str, Callable[[Authority, Path], ssl.SSLContext]] = {
    "at work": enrolled,
    "enrolling": lambda authority, _: enrollment_context(authority.ca_pem()),
    "fetching the CA": lambda _, __: unverified_context(),
}


@hybrid
@pytest.mark.parametrize("kind", CONTEXTS)
def test_a_sensor_and_a_collector_agree_on_keys_with_ml_kem_of_themselves(
    authority: Authority, tmp_path: Path, kind: str
) -> None:
    server = authority.server_context()
    assert shake_hands(CONTEXTS[kind](authority, tmp_path), server).group == HYBRID


@hybrid
def test_a_resumed_session_agrees_on_keys_anew_with_ml_kem(authority: Authority, tmp_path: Path) -> None:
    """Who records the traffic and learns a ticket's key later still has to break the key exchange."""
    client, server = enrolled(authority, tmp_path), authority.server_context()
    first = shake_hands(client, server)
    second = shake_hands(client, server, first.client.session)
    assert (second.client.session_reused, second.group) == (True, HYBRID)


@pytest.mark.parametrize("old", ["sensor", "collector"])
def test_a_side_without_ml_kem_is_met_on_an_elliptic_curve(authority: Authority, tmp_path: Path, old: str) -> None:
    client, server = enrolled(authority, tmp_path), authority.server_context()
    (client if old == "sensor" else server).set_ecdh_curve("prime256v1")
    assert shake_hands(client, server).group == "secp256r1"
