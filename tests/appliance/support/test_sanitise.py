"""No secret and, unless they are kept, no address of the customer's gets through; what support needs does."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.support.sanitise import MASK, Sanitiser, secrets_in

KEY = bytes(range(32))
TOKEN = "t-abcdefghijkl." + "Q7" * 21 + "z"
CONFIG = f"""
[collector]
token = "{TOKEN}"
proxy = 'http://me:p%40ss-word@proxy.example.net:3128'
"""
plain = Sanitiser((), KEY)
knowing = Sanitiser(secrets_in(CONFIG), KEY)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"token {TOKEN} refused", "Q7" * 21),
        ("half of it: " + "Q7" * 21 + "z", "Q7" * 21),
        ("proxy said no to me:p%40ss-word", "p%40ss-word"),
        ("decoded p@ss-word came", "p@ss-word"),
        ("http://me:p%40ss-word@proxy/", "me:"),
    ],
)
def test_what_the_box_knows_to_be_secret_goes_wherever_it_stands(text: str, secret: str) -> None:
    assert secret not in knowing(text)
    assert MASK in knowing(text)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("-----BEGIN PRIVATE KEY-----\nMIGHAgEA\n-----END PRIVATE KEY-----\n", "MIGHAgEA"),
        ("-----BEGIN TSS2 PRIVATE KEY-----\nMIGHAgEA\n", "MIGHAgEA"),
        (
            "10:00 a: -----BEGIN EC PRIVATE KEY-----\n10:00 a: MHcCAQEE\n10:00 a: -----END EC PRIVATE KEY-----",
            "MHcCAQEE",
        ),
        ("MHcCAQEEtail\n-----END EC PRIVATE KEY-----\nrest", "MHcCAQEE"),
        ("used t-abcdefghijkl.Zz9-_x", "Zz9-_x"),
        ("GET http://user:hunter2@proxy.example.net/ HTTP/1.1", "hunter2"),
        ("GET http://user:hun@ter/2@proxy.example.net/ HTTP/1.1", "ter/2"),
        ("Proxy-Authorization: Basic dXNlcjpodW50ZXIy", "dXNlcjpodW50ZXIy"),
        ("set-cookie: id=hunter2; path=/", "hunter2"),
        ('password = "hunter 2 \\" 3"', "hunter 2"),
        ('{"wifi_password": "hunter2"}', "hunter2"),
        ("--passphrase=hunter2 --x", "hunter2"),
        ("api_key: hunter2", "hunter2"),
        ("the password was hunter2", "hunter2"),
        ("recovery: " + "-".join(["cbdefghi"] * 8), "cbdefghi-cbdefghi"),
        ("pass\x1b[0mword=hunter2", "hunter2"),
        ("t-abcdefghijkl\x00.Zz9-_x", "Zz9-_x"),
    ],
)
def test_what_looks_like_a_secret_goes_too(text: str, secret: str) -> None:
    assert secret not in plain(text)


@pytest.mark.parametrize(
    "text",
    [
        "uplink closed: 3 batches stored at 12:30:58, next in 0:16",
        "core::panic at src/worker.rs:12, Foo::bar",
        '{"check": "token", "state": "ok", "text": "used"}',
        "sha256 " + "ab" * 32,
        "the token is unknown; the token was used by another box",
        "AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01",
        "listens on 127.0.0.1:8080, [::1]:443 and 0.0.0.0",
        "link/loopback 00:00:00:00:00:00 brd ff:ff:ff:ff:ff:ff",
        "sensor s-" + "a" * 52,
        "https://collector.example.net:443/v1/batches",
    ],
)
def test_what_support_needs_stays(text: str) -> None:
    assert plain(text) == text


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("from 192.0.2.7.", "192.0.2.7"),
        ("https://192.0.2.7:443/", "192.0.2.7"),
        ("inet 192.0.2.7/24 brd", "192.0.2.7"),
        ("https://[2001:db8::7]:443/", "2001:db8::7"),
        ("inet6 2001:db8::7/64", "2001:db8::7"),
        ("via 2001:db8::7: unreachable", "2001:db8::7"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("link/ether 02:42:ac:11:00:02 brd", "02:42:ac:11:00:02"),
        ("enx0242ac110002: renamed", "0242ac110002"),
    ],
)
def test_addresses_become_others_and_stay_when_asked(text: str, address: str) -> None:
    assert address not in plain(text)
    assert plain(text) == plain(text), "the same in all of a bundle"
    assert plain(text) != Sanitiser((), bytes(32))(text), "and another in the next"
    assert Sanitiser((), KEY, keep_addresses=True)(text) == text


def test_networks_stay_networks_and_cards_keep_their_maker() -> None:
    one, other = (ipaddress.ip_address(plain(text)) for text in ("192.0.2.7", "192.0.2.9"))
    assert int(one) >> 4 == int(other) >> 4
    assert one != other
    assert plain("02:42:ac:11:00:02").startswith("02:42:ac:")


@given(st.ip_addresses())
def test_no_address_survives(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    kept = address.is_loopback or address.is_unspecified or address.is_multicast or str(address).startswith("255.")
    words = plain(f"from {address} to it").split()
    assert (words[1] == str(address)) is bool(kept)


@given(st.text(max_size=300))
def test_any_text_goes_through_and_a_second_time_changes_no_secret(text: str) -> None:
    assert MASK not in knowing(text) or MASK in knowing(knowing(text))


def test_a_broken_configuration_still_tells_its_secrets() -> None:
    assert secrets_in('[[[\n  token = "abc.def"\nproxy=\'x\'\n# token = "no"\ntoken = \n') == ["abc.def", "x"]


@pytest.mark.parametrize(
    "text",
    ["a", "a:", "1.", "://", "://@", "password", "password=", "-", "-----BEGIN ", "t-a", 'token="', "\x1b[", "f-"],
)
def test_a_log_that_repeats_anything_is_through_in_reasonable_time(text: str) -> None:
    """Quadratic time would run into the tests' own limit."""
    plain(text * (2_000_000 // len(text)))
