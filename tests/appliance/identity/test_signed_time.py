"""A time is believed for its signature, its nonce, its chain and its day; each forgery is refused by its own reason."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from appliance.identity import TimeNotBelievedError, believed_time
from appliance.wire.fields import SessionError
from appliance.wire.signed_time import SignedTime, parse_nonce, time_statement
from collector_client.pki import Authority
from collector_client.pki.time_signer import TimeSigner

DAY_NS = 86_400 * 10**9
NOW_NS = time.time_ns()
NONCE = "ab" * 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("authority") / "pki"
    Authority.create(path, ["127.0.0.1", "collector.example.net"], NOW_NS)
    return path


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    return Authority.open(folder)


@pytest.fixture
def told(folder: Path) -> SignedTime:
    return TimeSigner(folder).sign(NONCE, NOW_NS)


def believe(told: SignedTime, pin: str, **changed: Any) -> int:
    asked = {
        "where": "https://collector.example.net:443",
        "host": "collector.example.net",
        "nonce": NONCE,
        "pin": pin,
        "floor_ns": NOW_NS - DAY_NS,
        "round_trip_ns": 2 * 10**9,
    }
    return believed_time(told, **asked | changed)


@pytest.mark.parametrize("host", ["127.0.0.1", "collector.example.net"])
def test_an_honest_time_is_believed_and_half_the_way_is_added(
    told: SignedTime, authority: Authority, host: str
) -> None:
    again = SignedTime.from_json(told.to_json())
    assert again == told
    assert believe(again, authority.pin, host=host) == NOW_NS + 10**9


def by_sensor(folder: Path, told: SignedTime) -> SignedTime:
    """Signed by an enrolled sensor's key."""
    key = ec.generate_private_key(ec.SECP256R1())
    made = Authority.open(folder).issue_sensor(key.public_key(), NOW_NS, 30)
    signature = key.sign(time_statement(NONCE, NOW_NS), ec.ECDSA(hashes.SHA256()))
    return replace(told, signature=signature, chain=(made.der, *told.chain[1:]))


def by_stranger(folder: Path, told: SignedTime) -> SignedTime:
    """By a collector of another root, who shows the true root as well."""
    other = folder.parent / "other"
    if not other.exists():
        Authority.create(other, ["collector.example.net"], NOW_NS)
    strange = TimeSigner(other).sign(NONCE, NOW_NS)
    return replace(strange, chain=(*strange.chain[:2], told.chain[-1]))


def by_issuing(folder: Path, told: SignedTime) -> SignedTime:
    """The CA in the place of the server."""
    return replace(told, chain=told.chain[1:])


FORGERIES: list[tuple[str, Callable[[Path, SignedTime], SignedTime], dict[str, Any]]] = [
    ("another question", lambda _, told: told, {"nonce": "cd" * 32}),
    ("an old time is replayed", lambda _, told: told, {"floor_ns": NOW_NS + 1}),
    ("took 31 s", lambda _, told: told, {"round_trip_ns": 31 * 10**9}),
    ("signature is not", lambda _, told: replace(told, time_ns=NOW_NS + 1), {}),
    ("signature is not", lambda _, told: replace(told, signature=b"\x30\x00"), {}),
    ("chain does not hold", lambda _, told: told, {"host": "other.example.net"}),
    ("chain does not hold", lambda _, told: told, {"host": "127.0.0.2"}),
    ("chain does not hold", by_sensor, {}),
    ("chain does not hold", by_issuing, {}),
    ("chain does not hold", by_stranger, {}),
    ("does not end in the pinned root", lambda _, told: replace(told, chain=told.chain[:2]), {}),
    ("does not end in the pinned root", lambda _, told: told, {"pin": "0" * 64}),
    ("does not parse", lambda _, told: replace(told, chain=(b"\x30\x00", *told.chain[1:])), {}),
]


@pytest.mark.parametrize(("reason", "forge", "changed"), FORGERIES)
def test_a_forged_time_is_refused_by_its_reason(
    folder: Path, told: SignedTime, authority: Authority, reason: str, forge: Any, changed: dict[str, Any]
) -> None:
    with pytest.raises(TimeNotBelievedError, match=reason):
        believe(forge(folder, told), **{"pin": authority.pin} | changed)


@pytest.mark.parametrize("days", [-1, 398])
def test_a_leaked_server_key_tells_only_times_of_its_own_days(folder: Path, authority: Authority, days: int) -> None:
    told = TimeSigner(folder).sign(NONCE, NOW_NS + days * DAY_NS)
    with pytest.raises(TimeNotBelievedError, match="chain does not hold"):
        believe(told, authority.pin, floor_ns=0)


def test_the_signer_follows_a_renewed_server_certificate(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path / "pki", ["collector.example.net"], NOW_NS)
    signer = TimeSigner(tmp_path / "pki")
    before = signer.sign(NONCE, NOW_NS).chain[0]
    assert authority.renew_server(["collector.example.net", "localhost"], NOW_NS)
    after = signer.sign(NONCE, NOW_NS)
    assert after.chain[0] != before
    believe(after, authority.pin)


@given(st.binary(max_size=300) | st.just(b'{"nonce":"","time_ns":1,"signature":"","chain":[]}'))
def test_any_bytes_are_a_signed_time_or_one_error(data: bytes) -> None:
    with contextlib.suppress(SessionError):
        SignedTime.from_json(data)


@given(st.integers(0, 2**63 - 1), st.binary(max_size=80), st.lists(st.binary(min_size=1, max_size=80), max_size=4))
def test_what_parses_is_believed_or_refused_by_name(time_ns: int, signature: bytes, chain: list[bytes]) -> None:
    with pytest.raises(TimeNotBelievedError):
        believe(SignedTime(NONCE, time_ns, signature, tuple(chain) or (b"x",)), "0" * 64, floor_ns=0)


# A bent certificate may only just parse, of which `cryptography` warns.
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@given(st.binary(max_size=400), st.integers(0, 3), st.integers(0, 399))
def test_a_bent_chain_is_refused_by_name(folder: Path, noise: bytes, which: int, at: int) -> None:
    told = TimeSigner(folder).sign(NONCE, NOW_NS)
    chain = list(told.chain)
    der = bytearray(chain[which % len(chain)])
    der[at % len(der)] ^= 1 + (noise[0] if noise else 0) % 255
    chain[which % len(chain)] = bytes(der)
    pin = Authority.open(folder).pin
    with pytest.raises(TimeNotBelievedError):
        believe(replace(told, chain=tuple(chain)), pin)


@pytest.mark.parametrize("text", ["", "ab", "AB" * 32, "g" * 64, "a" * 65])
def test_a_nonce_has_one_form(text: str) -> None:
    with pytest.raises(SessionError):
        parse_nonce(text)


def test_chain_is_leaf_first_root_last(told: SignedTime, authority: Authority) -> None:
    names = [x509.load_der_x509_certificate(der).subject.rfc4514_string() for der in told.chain]
    assert (names[0], names[2:]) == ("CN=127.0.0.1", ["CN=Vedette root CA"])
    assert names[1].startswith("CN=Vedette issuing CA ")
    assert x509.load_der_x509_certificate(told.chain[0]).public_bytes(Encoding.DER) == told.chain[0]
