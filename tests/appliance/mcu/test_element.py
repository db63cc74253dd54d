"""The secure element through the link: what is asked, and that every answer ends in a value or one named error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.identity import ElementError, ElementMissingError, ElementRefusedError
from appliance.mcu import LinkElement, NoAnswerError, OrderRefusedError, PortGoneError
from appliance.mcu.element import serve
from appliance.wire import mcu_words as words

POINT, OTHER = bytes(range(64)), bytes(range(1, 65))


class Asked:
    """Stands for `Supervisor.ask`; `answers` are given in order: a word, or what is raised."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.said: list[tuple[Any, ...]] = []

    def __call__(self, kind: int, *values: Any, within_s: float = 0, patience_s: float = 0) -> Any:
        assert kind == words.SECURE
        # Said again only once the answer is surely lost: answers do not say to what.
        assert within_s > patience_s > 3
        self.said.append(values)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return words.SecureAnswer(*answer)


def refused(why: str) -> OrderRefusedError:
    return OrderRefusedError(f"supervisor: refused: {why}", why=why)


def test_each_call_is_the_data_sheets_command() -> None:
    ask = Asked((0, b"\x01\x23\x45\x67"), (0, b"\x89\xab\xcd\xef"), (0, b"\xee\0\0\0"), (0, POINT), (0, OTHER))
    element = LinkElement(ask)
    assert element.serial().hex() == "0123456789abcdefee"
    assert element.public_key() == POINT
    assert element.sign(bytes(32)) == OTHER
    assert ask.said == [
        (0x02, 0, 0, b""), (0x02, 0, 2, b""), (0x02, 0, 3, b""), (0x40, 0, 0, b""), (0x41, 0x80, 0, bytes(32)),
    ]  # fmt: skip


def test_an_empty_slot_is_no_error_and_a_key_is_made_in_it() -> None:
    ask = Asked((0x0F, b""), (0, bytes(range(32))), (0x0F, b""), (0, POINT))
    element = LinkElement(ask)
    assert element.public_key() is None
    assert element.make_key() == POINT
    assert ask.said[-1] == (0x40, 4, 0, b"")


@pytest.mark.parametrize("lost", [refused("not-now"), NoAnswerError("nothing came")])
def test_a_key_that_was_made_and_whose_answer_was_lost_is_found(lost: Exception) -> None:
    ask = Asked((0, bytes(range(32))), (0x0F, b""), lost, (0, POINT))
    assert LinkElement(ask).make_key() == POINT


def test_a_key_that_is_there_is_never_taken_for_a_new_one() -> None:
    ask = Asked((0, bytes(range(32))), (0, POINT), refused("not-now"), (0, POINT))
    with pytest.raises(ElementRefusedError, match="not-now") as told:
        LinkElement(ask).make_key()
    assert "hold the board's button" in told.value.advice


def test_an_element_whose_configuration_is_open_is_refused() -> None:
    with pytest.raises(ElementRefusedError, match="not locked"):
        LinkElement(Asked((0, b"\xff\xff\x00\x00" * 8))).make_key()


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (refused("no-part"), ElementMissingError, "no secure element"),
        (refused("not-known"), ElementRefusedError, "not-known"),
        (NoAnswerError("supervisor: no answer"), ElementMissingError, "no answer"),
        (PortGoneError("/dev/x: gone"), ElementMissingError, "gone"),
        ((0xFF, b""), ElementMissingError, "gives no answer"),
        ((0x0F, b""), ElementRefusedError, "0x0f"),
        ((0, b"\x01" * 63), ElementRefusedError, "63 octets"),
        ((0, b""), ElementRefusedError, "0 octets"),
    ],
    ids=str,
)
def test_what_is_no_signature_is_named(answer: Any, kind: type[ElementError], said: str) -> None:
    with pytest.raises(kind, match=said):
        LinkElement(Asked(answer)).sign(bytes(32))


@given(
    st.sampled_from(["serial", "public-key", "sign"]), st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=80)))
)
def test_any_answers_end_in_octets_or_one_named_error(call: str, answers: list[tuple[int, bytes]]) -> None:
    ask: Callable[..., Any] = Asked(*answers, *[(1, b"")] * 4)
    try:
        came = serve(LinkElement(ask), call, bytes(32) if call == "sign" else b"")
    except ElementError:
        return
    assert came is None or len(came) in (9, 64)


@pytest.mark.parametrize(
    ("call", "data"),
    [("lock", b""), ("", b""), ("sign", b""), ("sign", bytes(31)), ("sign", bytes(33)), ("write", b"x")],
)
def test_a_call_that_is_not_on_the_list_reaches_nobody(call: str, data: bytes) -> None:
    ask = Asked()
    with pytest.raises(ElementRefusedError):
        serve(LinkElement(ask), call, data)
    assert ask.said == []


def test_a_digest_of_another_length_is_not_sent() -> None:
    ask = Asked()
    with pytest.raises(ValueError, match="31 bytes came"):
        LinkElement(ask).sign(bytes(31))
    assert ask.said == []
