"""Residency messages survive the trip; anything else is the one named error, in bounded size."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.wire.fields import SessionError
from appliance.wire.residency import (
    MAX_PROOF_BYTES,
    MAX_REQUEST_BYTES,
    ResidencyChallenge,
    ResidencyProof,
    ResidencyRequest,
)


def sized(octets: bytes) -> bytes:
    return len(octets).to_bytes(2, "big") + octets


REQUEST = ResidencyRequest(sized(b"ek"), b"certificate", sized(b"ak"), sized(b"ldevid"), b"csr")
CHALLENGE = ResidencyChallenge("c" * 16, sized(b"blob"), sized(b"seed"), b"n" * 32, (0, 7, 23))
PROOF = ResidencyProof("c" * 16, b"s" * 32, b"certify", b"sig", b"quote", b"sig", {7: b"\1" * 32, 0: bytes(32)})
MESSAGES = {ResidencyRequest: REQUEST, ResidencyChallenge: CHALLENGE, ResidencyProof: PROOF}


@pytest.mark.parametrize("kind", MESSAGES)
def test_a_message_survives_the_trip(kind: type) -> None:
    assert kind.decode(MESSAGES[kind].encode()) == MESSAGES[kind]


def test_a_tpm_without_an_ek_certificate_says_so() -> None:
    bare = ResidencyRequest(sized(b"ek"), None, sized(b"ak"), sized(b"ldevid"), b"csr")
    assert ResidencyRequest.decode(bare.encode()).ek_certificate is None


def test_the_activated_secret_shows_in_no_repr() -> None:
    assert "ssss" not in repr(PROOF)


def test_fields_of_a_later_version_are_passed_over() -> None:
    later = {**json.loads(CHALLENGE.encode()), "later": 1}
    assert ResidencyChallenge.decode(json.dumps(later).encode()) == CHALLENGE


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (ResidencyRequest, "ek_public", "AAU="),  # a size of five before nothing
        (ResidencyRequest, "ek_public", "AAFhYg=="),  # a byte too many
        (ResidencyRequest, "ak_public", None),
        (ResidencyRequest, "ldevid_public", "not base64"),
        (ResidencyRequest, "csr", ""),
        (ResidencyRequest, "csr", "YQ==\nYQ=="),
        (ResidencyRequest, "csr", 7),
        (ResidencyRequest, "ek_certificate", "A" * 20_000),
        (ResidencyChallenge, "challenge_id", "short"),
        (ResidencyChallenge, "challenge_id", "../../../../etc/passwd"),
        (ResidencyChallenge, "nonce", "YQ=="),
        (ResidencyChallenge, "nonce", "A" * 48),  # 36 bytes
        (ResidencyChallenge, "pcrs", []),
        (ResidencyChallenge, "pcrs", [1, 1]),
        (ResidencyChallenge, "pcrs", [2, 1]),
        (ResidencyChallenge, "pcrs", [24]),
        (ResidencyChallenge, "pcrs", [-1]),
        (ResidencyChallenge, "pcrs", [True]),
        (ResidencyChallenge, "pcrs", ["1"]),
        (ResidencyProof, "secret", ""),
        (ResidencyProof, "pcr_values", {}),
        (ResidencyProof, "pcr_values", {"24": "00" * 32}),
        (ResidencyProof, "pcr_values", {"07": "00" * 32}),
        (ResidencyProof, "pcr_values", {"7": "00" * 31}),
        (ResidencyProof, "pcr_values", {"7": "zz" * 32}),
        (ResidencyProof, "pcr_values", [1]),
    ],
)
def test_a_field_of_another_form_is_refused(kind: type, name: str, value: object) -> None:
    broken = {**json.loads(MESSAGES[kind].encode()), name: value}
    with pytest.raises(SessionError, match=name):
        kind.decode(json.dumps(broken).encode())


@pytest.mark.parametrize(("kind", "most"), [(ResidencyRequest, MAX_REQUEST_BYTES), (ResidencyProof, MAX_PROOF_BYTES)])
def test_a_body_is_not_parsed_when_it_is_too_large(kind: type, most: int) -> None:
    with pytest.raises(SessionError, match="at most"):
        kind.decode(b" " * (most + 1))


@given(st.binary(max_size=300), st.sampled_from(list(MESSAGES)))
def test_any_bytes_give_a_message_or_the_one_error(data: bytes, kind: type) -> None:
    with contextlib.suppress(SessionError):
        kind.decode(data)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.data(), st.sampled_from(list(MESSAGES)))
def test_any_value_in_any_field_gives_a_message_or_the_one_error(data: st.DataObject, kind: type) -> None:
    good = json.loads(MESSAGES[kind].encode())
    name = data.draw(st.sampled_from(sorted(good)))
    with contextlib.suppress(SessionError):
        kind.decode(json.dumps({**good, name: data.draw(_JSON)}).encode())
