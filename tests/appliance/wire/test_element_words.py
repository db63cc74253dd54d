"""The words of a secure element: any octets end in a value or the one named error, and a value travels."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from appliance.wire.element import MAX_ENROLLMENT_BYTES, ElementEnrollment
from appliance.wire.enrollment import RecoveryRequest
from appliance.wire.fields import SessionError

NAME = "s-" + "a" * 20
FIELDS = {"sensor": NAME, "key": NAME, "request": "AAEC", "proof": "AAEC"}


@given(st.binary(min_size=1, max_size=2000), st.binary(min_size=1, max_size=2000), st.binary(min_size=1, max_size=72))
def test_what_is_written_is_read(identity: bytes, request: bytes, proof: bytes) -> None:
    said = ElementEnrollment(identity, RecoveryRequest(NAME, NAME, request, proof))
    assert ElementEnrollment.from_json(said.to_json()) == said


def parsed(data: bytes) -> ElementEnrollment | None:
    try:
        return ElementEnrollment.from_json(data)
    except SessionError:
        return None


@given(st.binary(max_size=300))
def test_any_octets_are_a_word_or_the_named_error(data: bytes) -> None:
    assert parsed(data) is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just("AAEC") | st.just(NAME),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(FIELDS)), inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["identity", "asked", "x"]), VALUES | st.just(FIELDS)))
def test_any_object_is_a_word_or_the_named_error(value: dict[str, object]) -> None:
    found = parsed(json.dumps(value).encode())
    assert found is None or (found.identity and found.asked.sensor_id == NAME)


def test_what_is_longer_than_allowed_is_not_parsed() -> None:
    assert parsed(b'{"identity":"' + b"A" * MAX_ENROLLMENT_BYTES + b'"}') is None
