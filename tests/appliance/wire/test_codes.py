"""The session's catalogue is closed, each code says what to do, and no number is used twice across catalogues."""

from __future__ import annotations

import pytest

from appliance.wire.codes import SessionCode
from appliance.wire.session import REFUSAL_STATUSES, Refusal


def test_numbers_are_used_once_and_stand_below_a_code_of_2001() -> None:
    numbers = [code.number for code in SessionCode]
    assert len(set(numbers)) == len(numbers)
    for code in SessionCode:
        assert code.number // 100 in {*range(300, 304), *range(400, 410), *range(500, 505)}
        assert code.number % 100 >= 50, "below 50 are the document's codes"


@pytest.mark.parametrize("code", SessionCode, ids=str)
def test_a_code_travels_in_a_refusal_and_is_found_again(code: SessionCode) -> None:
    refusal = Refusal(code.status, str(code), "a", "b", code.do)
    assert code.status in REFUSAL_STATUSES
    assert SessionCode.of(Refusal.from_answer(code.status, {}, refusal.to_json()).code) is code
    for line in (code.doc, code.do):
        assert line.endswith(".")
        assert len(line) <= 120


@pytest.mark.parametrize("text", ["", "30250", "30250 TOKEN_USED", "403 INPUT_MALFORMED", "TOKEN_UNKNOWN"])
def test_a_code_of_another_catalogue_is_none(text: str) -> None:
    assert SessionCode.of(text) is None
