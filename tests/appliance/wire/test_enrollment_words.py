"""Ids, pins and tokens have one form, and a secret is never shown. The id vector is from `openssl dgst | base32`."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.wire.enrollment import (
    EnrollmentToken,
    RecoveryRequest,
    ca_pin,
    decode_base64,
    encode_base64,
    parse_pin,
    parse_sensor_id,
    sensor_id,
)
from appliance.wire.session import SessionError

TOKEN = EnrollmentToken("t-abcdefghij23", "S" * 43)


def test_a_sensor_is_named_by_its_key_alone() -> None:
    assert sensor_id(b"key") == "s-fryock32azdpsitz6qt4"
    assert parse_sensor_id(sensor_id(b"key")) == sensor_id(b"key")


@pytest.mark.parametrize("text", ["", "s-", "S-fryop7rppbgzbqvau7kq", "s-fryock32azdpsitz6qt4\n", "s-" + "1" * 20])
def test_what_is_no_sensor_id_is_refused(text: str) -> None:
    with pytest.raises(SessionError):
        parse_sensor_id(text)


def test_a_pin_is_taken_as_people_type_it() -> None:
    pin = ca_pin(b"root")
    typed = ":".join(pin[n : n + 2] for n in range(0, 64, 2)).upper()
    assert parse_pin(f" {typed} ") == pin


@pytest.mark.parametrize("text", ["", "ab", "g" * 64, "a" * 65])
def test_what_is_no_pin_is_refused(text: str) -> None:
    with pytest.raises(SessionError):
        parse_pin(text)


def test_a_token_survives_paste_and_header() -> None:
    assert EnrollmentToken.parse(f" {TOKEN}\n") == TOKEN
    assert EnrollmentToken.from_authorization(TOKEN.authorization()) == TOKEN


def test_the_secret_shows_in_no_repr_and_no_error() -> None:
    assert TOKEN.secret not in repr(TOKEN)
    with pytest.raises(SessionError) as caught:
        EnrollmentToken.parse(TOKEN.secret)
    assert TOKEN.secret not in str(caught.value)


@given(st.text())
def test_any_authorization_gives_a_token_or_the_one_error(text: str) -> None:
    for value in (text, "Basic " + text):
        with pytest.raises(SessionError):
            EnrollmentToken.from_authorization(value)


@given(st.binary(min_size=1, max_size=400))
def test_base64_survives_line_breaks_anywhere(der: bytes) -> None:
    coded = encode_base64(der)
    assert decode_base64("body", coded, 1000) == der
    assert decode_base64("body", coded.replace(b"\n", b"\r\n "), 1000) == der


@pytest.mark.parametrize("body", [b"", b"\n", b"%%%", b"A", b"QQ==QQ==", b"A" * 1001])
def test_what_is_no_base64_is_refused(body: bytes) -> None:
    with pytest.raises(SessionError):
        decode_base64("body", body, 1000)


def test_a_recovery_request_survives_the_way() -> None:
    asked = RecoveryRequest("s-" + "a" * 20, "s-" + "b" * 20, b"\x30" * 300, b"\x31" * 71)
    assert RecoveryRequest.from_json(asked.to_json()) == asked
    other = RecoveryRequest("s-" + "a" * 20, "s-" + "b" * 20, b"\x30" * 301, b"\x31" * 71)
    assert asked.statement() != other.statement()


@given(st.binary(max_size=2000))
def test_no_bytes_break_the_recovery_parser_otherwise_than_by_name(data: bytes) -> None:
    try:
        RecoveryRequest.from_json(data)
    except SessionError:
        return


@pytest.mark.parametrize(
    "changed", [{"sensor": "S-1"}, {"key": "s-1"}, {"request": "?"}, {"proof": ""}, {"proof": "A" * 400}, {"key": None}]
)
def test_a_recovery_request_with_a_field_of_another_form_is_refused(changed: dict[str, str | None]) -> None:
    good = {"sensor": "s-" + "a" * 20, "key": "s-" + "b" * 20, "request": "MDA=", "proof": "MDA="}
    RecoveryRequest.from_json(json.dumps(good).encode())
    with pytest.raises(SessionError):
        RecoveryRequest.from_json(json.dumps(good | changed).encode())
