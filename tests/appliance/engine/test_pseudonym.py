"""Pseudonyms keep prefixes, are one to one, and are Crypto-PAn's."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.engine.pseudonym import CryptoPan

# Key and first lines of the sample trace that the authors' own program comes with.
KEY = bytes.fromhex("1522178d33a4cf80130a5b1649907d10d8988f837979652762574c2d2a842202")
SAMPLE = [
    ("128.11.68.132", "135.242.180.132"),
    ("129.118.74.4", "134.136.186.123"),
    ("130.132.252.244", "133.68.164.234"),
    ("141.223.7.43", "141.167.8.160"),
    ("141.233.145.108", "141.129.237.235"),
    ("152.163.225.39", "151.140.114.167"),
]
PAN = CryptoPan(KEY)


@pytest.mark.parametrize(("address", "expected"), SAMPLE)
def test_the_published_sample(address: str, expected: str) -> None:
    assert PAN(address) == expected


def common_bits(a: str, b: str) -> int:
    first, second = ipaddress.ip_address(a), ipaddress.ip_address(b)
    return first.max_prefixlen - (int(first) ^ int(second)).bit_length()


@given(st.integers(0, 2**32 - 1), st.integers(0, 31))
def test_ipv4_pseudonyms_share_exactly_the_prefix_that_the_addresses_share(number: int, bit: int) -> None:
    a, b = (str(ipaddress.IPv4Address(n)) for n in (number, number ^ 1 << bit))
    assert common_bits(PAN(a), PAN(b)) == common_bits(a, b) == 31 - bit


@given(st.integers(0, 2**128 - 1), st.integers(0, 2**128 - 1), st.integers(0, 128))
def test_ipv6_pseudonyms_share_exactly_the_prefix_that_the_addresses_share(a: int, b: int, keep: int) -> None:
    mask = (1 << (128 - keep)) - 1
    first, second = (str(ipaddress.IPv6Address(n)) for n in (a, a & ~mask | b & mask))
    assert common_bits(PAN(first), PAN(second)) == common_bits(first, second)


def test_another_key_gives_other_pseudonyms_and_a_short_key_is_refused() -> None:
    assert CryptoPan(bytes(32))("192.0.2.1") != PAN("192.0.2.1")
    with pytest.raises(ValueError, match="31 octets came, 32 were allowed"):
        CryptoPan(bytes(31))
