"""The register's states, and every way to install, retire or move what must not be."""

from __future__ import annotations

import contextlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from appliance.identity import believed_time
from appliance.wire.signed_time import SignedTime
from collector_client.errors import OperatorError
from collector_client.pki import Authority, KeyPlaces, profile, rollover
from collector_client.pki.chains import load_chains
from collector_client.pki.files import new_key, pem_of
from collector_client.pki.keys.uri import TokenPlace, parse_token_place
from collector_client.pki.overview import ca_warnings
from collector_client.pki.register import FIRST, STEPS, Register, parse_register
from collector_client.pki.time_signer import TimeSigner
from collector_client.pki.watch import warnings

NOW_NS = 1_800_000_000 * 10**9
DAY_NS = 86_400 * 10**9


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    Authority.create(tmp_path / "pki", ["localhost"], NOW_NS)
    return tmp_path / "pki"


def request(pki: Path) -> bytes:
    return rollover.request(pki, "file", "", KeyPlaces())[1]


def test_the_first_register_is_read_back() -> None:
    assert parse_register(FIRST.encode()) == FIRST


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps).map(str.encode)
)
def test_no_bytes_raise_anything_but_the_named_error(data: bytes) -> None:
    with contextlib.suppress(OperatorError):
        parse_register(data)


_FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["root", "issuing", "issuing-2", "../root", "root-0"]) | st.integers(),
        "kind": st.sampled_from(["root", "issuing", "leaf"]),
        "state": st.sampled_from(["requested", "issuing", "trusted", "retired", "gone"]),
        "key": st.sampled_from(["", "file", "pkcs11", "command", "paper"]) | st.none(),
        "key_id": st.text(max_size=5),
    },
)


@given(st.lists(_FIELDS, max_size=4))
def test_a_register_that_reads_has_one_issuing_ca_and_no_name_that_is_a_path(rows: list[Any]) -> None:
    try:
        register = parse_register(json.dumps({"format": 1, "authorities": rows}).encode())
    except OperatorError:
        return
    assert register.issuing.kind == "issuing"
    assert not any("/" in entry.name or "." in entry.name for entry in register.entries)


@pytest.mark.parametrize("step", ["install", "follow", "retire"])
@pytest.mark.parametrize("state", ["requested", "issuing", "trusted", "retired"])
def test_no_step_but_the_tables_is_taken(step: Any, state: Any) -> None:
    register = Register(tuple(entry for entry in FIRST.entries if entry.kind == "root"))
    entry = FIRST.find("issuing")
    register = register.add(type(entry)("issuing-9", "issuing", state, "file"))
    if ("issuing", state, step) in STEPS:
        assert register.step("issuing-9", step).find("issuing-9").state == STEPS["issuing", state, step]
    else:
        with pytest.raises(OperatorError, match="was allowed for"):
            register.step("issuing-9", step)


def test_everything_but_signing_an_issuing_ca_goes_on_without_the_roots_key(tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    Authority.create(tmp_path / "pki", ["localhost"], NOW_NS, root_dir=stick)
    assert not (tmp_path / "pki" / "root.key").exists()
    authority = Authority.open(tmp_path / "pki")
    authority.issue_sensor(new_key().public_key(), NOW_NS, 30)
    assert authority.renew_server(["other.example"], NOW_NS)
    made = rollover.sign(stick, request(tmp_path / "pki"), NOW_NS)
    assert [entry.name for entry in rollover.install(tmp_path / "pki", [made], NOW_NS)] == ["issuing-2"]
    with pytest.raises(OperatorError, match=r"root\.key"):
        rollover.sign(tmp_path / "pki", request(tmp_path / "pki"), NOW_NS)


def test_the_roots_key_moves_away_and_is_never_overwritten(pki: Path, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    (stick / "root.key").write_bytes(b"another root's key")
    (stick / "root.key").chmod(0o600)
    with pytest.raises(OperatorError, match="exists already"):
        rollover.export_root(pki, stick)
    assert (pki / "root.key").exists()
    (stick / "root.key").unlink()
    rollover.export_root(pki, stick)
    assert not (pki / "root.key").exists()
    assert rollover.load_root(stick)[0] == load_chains(pki).root


def test_a_request_may_be_made_again_and_keeps_its_key(pki: Path) -> None:
    first, second = (x509.load_pem_x509_csr(request(pki)).public_key() for _ in range(2))
    assert first == second


def test_what_is_not_asked_for_or_not_vouched_for_is_not_installed(pki: Path, tmp_path: Path) -> None:
    Authority.create(tmp_path / "other", ["localhost"], NOW_NS)
    before = load_chains(pki)
    foreign_root = rollover.new_root(tmp_path / "other", tmp_path / "new other", NOW_NS)
    unasked = profile.make_request(new_key()).public_bytes(Encoding.PEM)
    wrong: list[tuple[list[x509.Certificate], str]] = [
        ([rollover.sign(tmp_path / "other", request(pki), NOW_NS)], "no issuing CA of a trusted root"),
        ([rollover.sign(pki, unasked, NOW_NS)], "was not requested here"),
        (foreign_root, "without the word of a trusted root"),
        (foreign_root[:1], "without the word of a trusted root"),
        ([load_chains(tmp_path / "other").issuing], "no issuing CA of a trusted root"),
        ([rollover.sign(pki, request(pki), NOW_NS + 2 * DAY_NS)], "now is"),
    ]
    for certificates, words in wrong:
        with pytest.raises(OperatorError, match=words):
            rollover.install(pki, certificates, NOW_NS)
    after = load_chains(pki)
    assert (after.certificates, after.links) == (before.certificates, before.links)


def test_installing_again_changes_nothing(pki: Path) -> None:
    made = rollover.sign(pki, request(pki), NOW_NS)
    assert len(rollover.install(pki, [made], NOW_NS)) == 1
    assert rollover.install(pki, [made], NOW_NS) == []


def test_an_install_that_died_before_the_register_can_be_typed_again(pki: Path) -> None:
    made = rollover.sign(pki, request(pki), NOW_NS)
    (pki / "issuing-2.pem").write_bytes(pem_of(made))  # the last thing that it did
    (pki / "issuing-2.pem").chmod(0o600)
    assert Authority.open(pki).chains.register.issuing.name == "issuing"
    assert len(rollover.install(pki, [made], NOW_NS)) == 1
    assert Authority.open(pki).chains.issuing == made


def test_the_ca_that_signs_and_a_root_above_one_are_not_retired(pki: Path) -> None:
    with pytest.raises(OperatorError, match="issuing is issuing"):
        rollover.retire(pki, "issuing")
    with pytest.raises(OperatorError, match="root is above issuing"):
        rollover.retire(pki, "root")
    with pytest.raises(OperatorError, match="one of root, issuing was allowed"):
        rollover.retire(pki, "../../etc/passwd")


def test_a_retired_cas_key_is_removed(pki: Path) -> None:
    rollover.install(pki, [rollover.sign(pki, request(pki), NOW_NS)], NOW_NS)
    rollover.retire(pki, "issuing")
    assert not (pki / "issuing.key").exists()
    Authority.open(pki)


def test_openssl_leads_the_new_server_to_the_old_root_over_the_link(pki: Path, tmp_path: Path) -> None:
    """What lets a sensor that knows only the old root speak with the collector after the roll-over."""
    authority = Authority.open(pki)
    made = rollover.new_root(pki, tmp_path / "new", NOW_NS)
    rollover.install(pki, made, NOW_NS)
    rollover.install(pki, [rollover.sign(tmp_path / "new", request(pki), NOW_NS)], NOW_NS)
    assert authority.refresh()
    assert authority.renew_server([], NOW_NS)
    for root in (pki / "root.pem", tmp_path / "new" / "root.pem"):
        check = ["openssl", "verify", "-x509_strict", "-attime", str(NOW_NS // 10**9), "-purpose", "sslserver"]
        done = subprocess.run(
            [*check, "-CAfile", root, "-untrusted", pki / "server.pem", pki / "server.pem"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_end_of_a_ca_is_told_in_time_and_only_of_the_one_that_signs(pki: Path) -> None:
    chains = load_chains(pki)
    assert warnings(chains, NOW_NS) == []
    (line,) = warnings(chains, NOW_NS + (profile.ISSUING_DAYS - 100) * DAY_NS)
    assert "issuing CA issuing ends in 100 days" in line
    assert "ca request" in line
    assert len(warnings(chains, NOW_NS + (profile.ROOT_DAYS - 100) * DAY_NS)) == 2
    rollover.install(pki, [rollover.sign(pki, request(pki), NOW_NS)], NOW_NS)
    later = NOW_NS + (profile.ISSUING_DAYS - 100) * DAY_NS
    assert [line.split()[3] for line in warnings(load_chains(pki), later)] == ["issuing-2"]


def test_a_token_is_named_by_a_uri() -> None:
    text = "pkcs11:token=my%20token;serial=12?module-path=/usr/lib/x.so&pin-source=file:///run/pin"
    expected = TokenPlace("my token", "12", Path("/usr/lib/x.so"), Path("/run/pin"), "")
    assert parse_token_place(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pkcs11:token=a?module-path=/x&pin-value=1234", "does not belong"),
        ("pkcs11:token=a;pin-value=1234?module-path=/x&pin-source=env:A", "pin-value"),
        ("pkcs11:token=a?module-path=x.so&pin-source=env:A", "absolute"),
        ("pkcs11:token=a?module-path=/x&pin-source=|cat /pin", "other characters|pin-source"),
        ("pkcs11:token=a?module-path=/x&pin-source=env:A-B", "env:NAME"),
        ("pkcs11:token=a;token=b?module-path=/x&pin-source=env:A", "twice"),
        ("pkcs11:token=%00?module-path=/x&pin-source=env:A", "control"),
        ("pkcs11:token=%ff?module-path=/x&pin-source=env:A", "UTF-8"),
        ("pkcs11:slot-id=1;token=a?module-path=/x&pin-source=env:A", "slot-id"),
        ("pkcs11:", "no token"),
        ("softhsm", "pkcs11: URI"),
    ],
)
def test_a_uri_that_says_something_else_is_refused_and_a_pin_in_it_is_not_repeated(text: str, words: str) -> None:
    with pytest.raises(OperatorError, match=words) as refused:
        parse_token_place(text)
    assert "1234" not in str(refused.value)


@given(st.text(max_size=60).map("pkcs11:".__add__))
def test_no_uri_raises_anything_else(text: str) -> None:
    with contextlib.suppress(OperatorError):
        parse_token_place(text)


def test_a_box_without_a_clock_that_missed_three_roots_believes_the_time_by_its_old_pin(
    pki: Path, tmp_path: Path
) -> None:
    authority, root_dir, nonce = Authority.open(pki), pki, "ab" * 32
    pins = [authority.pin]
    for number in range(2, 5):
        new_dir = tmp_path / f"root {number}"
        rollover.install(pki, rollover.new_root(root_dir, new_dir, NOW_NS), NOW_NS)
        rollover.install(pki, [rollover.sign(new_dir, request(pki), NOW_NS)], NOW_NS)
        before = "" if number == 2 else f"-{number - 1}"
        rollover.retire(pki, f"issuing{before}")
        rollover.retire(pki, f"root{before}")
        authority.refresh()
        authority.renew_server([], NOW_NS)
        pins.append(authority.pin)
        root_dir = new_dir
    told = SignedTime.from_json(TimeSigner(pki).sign(nonce, NOW_NS).to_json())
    asked = {"where": "x", "host": "localhost", "nonce": nonce, "floor_ns": 0, "round_trip_ns": 0}
    assert len(set(pins)) == 4
    assert [believed_time(told, pin=pin, **asked) for pin in pins] == [NOW_NS] * 4  # type: ignore[arg-type]


def test_the_page_and_the_listings_tell_what_cannot_be_read(pki: Path, tmp_path: Path) -> None:
    assert ca_warnings(pki, NOW_NS) == []
    assert ca_warnings(tmp_path / "none", NOW_NS) == []
    (pki / "authorities.json").write_text("{")
    (pki / "authorities.json").chmod(0o600)
    (line,) = ca_warnings(pki, NOW_NS)
    assert "cannot be read" in line
