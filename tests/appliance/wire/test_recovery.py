"""The recovery key on the wire: a key or one named error, and never in a text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.wire.fields import SessionError
from appliance.wire.recovery import MAX_RECOVERY_BYTES, RecoveryKey

KEY = "-".join(["cbdefghi", "jklnrtuv"] * 4)


def test_a_key_goes_there_and_back_and_is_not_in_its_repr() -> None:
    key = RecoveryKey("var", KEY)
    assert RecoveryKey.from_json(key.to_json()) == key
    assert KEY not in repr(key)


@pytest.mark.parametrize(
    "changed",
    [
        {"schema": 2},
        {"volume": "../x"},
        {"volume": ""},
        {"key": KEY[:-1]},
        {"key": KEY.upper()},
        {"key": KEY.replace("-", "")},
        {"key": "a" + KEY[1:]},
        {"key": 7},
        {"key": KEY + "\n"},
    ],
)
def test_a_value_of_another_form_is_refused_without_telling_the_key(changed: dict[str, object]) -> None:
    body = json.dumps({"schema": 1, "volume": "var", "key": KEY} | changed).encode()
    with pytest.raises(SessionError) as caught:
        RecoveryKey.from_json(body)
    assert KEY[:20] not in str(caught.value)


@given(st.binary(max_size=2 * MAX_RECOVERY_BYTES))
def test_any_bytes_are_a_key_or_the_one_error(data: bytes) -> None:
    try:
        RecoveryKey.from_json(data)
    except SessionError:
        return
    pytest.fail("random bytes are no key")
