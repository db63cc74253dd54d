"""Any bytes where a TPM's structure must be end in a parsed value or in the one named error."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from collector_client.attest import AttestError, Public, parse_public
from collector_client.attest.credential import kdfa, kdfe
from collector_client.attest.signature import verify_signature
from collector_client.attest.statement import parse_certify, parse_quote
from tests.fakes.tpm_device import AK_ATTRIBUTES, RSASSA_SHA256, Object, TpmDevice, ecc_ek, rsa_ek, sized, u16, u32

DEVICE = TpmDevice()
RSA_EK = rsa_ek()
RSA_AK = Object(rsa.generate_private_key(65537, 2048), AK_ATTRIBUTES, scheme=RSASSA_SHA256)
STATEMENT = DEVICE.certify(b"n" * 32)


def verify_with(signer: Object) -> Callable[[bytes], object]:
    public = parse_public("AK", signer.public)
    return lambda octets: verify_signature("statement", public, STATEMENT, octets)


def read_public(octets: bytes) -> Public:
    return parse_public("key", octets)


DECODERS: dict[str, tuple[Callable[[bytes], object], list[bytes]]] = {
    "public": (read_public, [RSA_EK.public, ecc_ek().public, DEVICE.ak.public, DEVICE.ldevid.public, RSA_AK.public]),
    "certify": (parse_certify, [STATEMENT]),
    "quote": (parse_quote, [DEVICE.quote(b"n" * 32), DEVICE.quote(b"", (0,))]),
    "ECDSA signature": (verify_with(DEVICE.ak), [DEVICE.ak.sign(STATEMENT)]),
    "RSA signature": (verify_with(RSA_AK), [RSA_AK.sign(STATEMENT)]),
}
CODES = {"TPM_STRUCTURE_INVALID", "ATTEST_SIGNATURE"}


def decode(name: str, octets: bytes) -> bool:
    """Whether it was taken; any exception but the named one passes through and fails the test."""
    try:
        DECODERS[name][0](octets)
    except AttestError as error:
        if error.code.name not in CODES or len(str(error)) > 600:
            raise
        return False
    return True


@pytest.mark.parametrize("name", DECODERS)
def test_a_genuine_structure_is_taken_and_no_part_of_it(name: str) -> None:
    for genuine in DECODERS[name][1]:
        assert decode(name, genuine)
        assert not any(decode(name, genuine[:length]) for length in range(len(genuine)))
        assert not decode(name, genuine + b"\0")


@pytest.mark.parametrize("name", DECODERS)
@given(octets=st.binary(max_size=600))
def test_noise_is_refused_by_name(name: str, octets: bytes) -> None:
    decode(name, octets)


@pytest.mark.parametrize("name", DECODERS)
@settings(max_examples=300)
@given(data=st.data())
def test_a_bent_structure_is_taken_or_refused_by_name(name: str, data: st.DataObject) -> None:
    genuine = data.draw(st.sampled_from(DECODERS[name][1]))
    bent = bytearray(genuine)
    for _ in range(data.draw(st.integers(1, 4))):
        bent[data.draw(st.integers(0, len(bent) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(bent)))
    decode(name, bytes(bent))
    decode(name, bytes(bent[:cut] + bent))


@pytest.mark.parametrize("name", DECODERS)
def test_megabytes_are_refused_by_their_size(name: str) -> None:
    assert not decode(name, bytes(4 * 1024 * 1024))
    assert not decode(name, b"\xff" * 100_000)


def test_a_name_is_the_digest_of_the_public_area() -> None:
    for key in (RSA_EK, ecc_ek(), DEVICE.ldevid):
        parsed = read_public(key.public)
        assert parsed.name == key.name
        assert sized(parsed.raw) == key.public


@pytest.mark.parametrize(
    ("what", "area"),
    [
        ("a keyed hash", b"\x00\x08" + RSA_EK.area[2:]),
        ("SHA-1 as nameAlg", RSA_EK.area[:2] + b"\x00\x04" + RSA_EK.area[4:]),
        ("a reserved attribute", RSA_EK.area[:4] + b"\x80\x03\x00\xb2" + RSA_EK.area[8:]),
        ("a policy of half a digest", RSA_EK.area[:8] + sized(b"p" * 16) + RSA_EK.area[42:]),
        ("RSA-1024", Object(rsa.generate_private_key(65537, 1024), 0).area),  # noqa: S505 - refused
        ("RSA-3072", Object(rsa.generate_private_key(65537, 3072), 0).area),
        ("a modulus below its size", RSA_EK.area[:-256] + b"\0" * 128 + RSA_EK.area[-128:]),
        ("an even modulus", RSA_EK.area[:-1] + bytes([RSA_EK.area[-1] & 0xFE])),
        ("exponent 3", RSA_EK.area[:-262] + u32(3) + RSA_EK.area[-258:]),
        ("P-521", DEVICE.ldevid.area[:-72] + u16(5) + DEVICE.ldevid.area[-70:]),
        ("a point off its curve", DEVICE.ldevid.area[:-1] + bytes([DEVICE.ldevid.area[-1] ^ 1])),
        ("the point at infinity", DEVICE.ldevid.area[:-68] + sized(b"") + sized(b"")),
        ("a point of zeros", DEVICE.ldevid.area[:-68] + sized(bytes(32)) + sized(bytes(32))),
    ],
)
def test_a_key_of_a_kind_that_is_not_taken_is_refused(what: str, area: bytes) -> None:
    assert not decode("public", sized(area)), what


@given(st.integers(0, 255))
def test_a_selection_of_many_banks_is_refused_without_reading_them(count: int) -> None:
    quote = DEVICE.quote(b"n" * 32)
    head = quote[: -(4 + 6 + 34)]
    assert decode("quote", head + u32(count) + b"\x00\x0b\x00" * count + sized(b"d" * 32)) == (count <= 16)
    assert not decode("quote", head + b"\xff\xff\xff\xff" + b"\x00\x0b\x00" * count)


def test_derivations_agree_with_hand_made_blocks() -> None:
    """By the text of the specification, for more than one block."""
    key = os.urandom(32)
    out = kdfa(0x0B, key, b"STORAGE", b"u", b"v", 512)
    blocks = [hmac.new(key, u32(n) + b"STORAGE\0uv" + u32(512), hashlib.sha256).digest() for n in (1, 2)]
    assert out == b"".join(blocks)
    made = kdfe(0x0C, key, b"IDENTITY", b"u", b"v", 384)
    assert made == hashlib.sha384(u32(1) + key + b"IDENTITY\0uv").digest()
    assert len(kdfa(0x0B, key, b"X", b"", b"", 128)) == 16


def test_ecdsa_numbers_longer_than_a_curve_are_refused_unread() -> None:
    long = b"\x00\x18\x00\x0b" + sized(b"\x01" * 49) + sized(b"\x01" * 32)
    assert not decode("ECDSA signature", long)
