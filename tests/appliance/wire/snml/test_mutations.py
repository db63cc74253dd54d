"""Whatever is broken ends in a message or in one SnmlError of the catalogue, and the two checks of structure agree."""

from __future__ import annotations

import copy
import random

from hypothesis import example, given
from hypothesis import strategies as st
from lxml import etree

from appliance.wire.snml import (
    DTD_PATH,
    Limits,
    Message,
    RejectCode,
    SnmlError,
    decode_message,
    decode_message_lenient_events,
    encode_message,
)
from appliance.wire.snml.read import read_document
from tests.appliance.wire.snml.strategies import messages

DTD = etree.DTD(str(DTD_PATH))
TAGS = [element.name for element in DTD.iterelements()]
ATTRIBUTES = sorted({a.name for element in DTD.iterelements() for a in element.iterattributes()})
VALUES = (
    "",
    "0",
    "4",
    "6",
    "hex",
    "rule",
    "ipv6",
    "to-server",
    "xxx.xxx.xxx.xxx",
    "99999999999999999999",
    "-1",
    "٣",
    "a b",
)
STRUCTURE = {
    RejectCode.ROOT_UNKNOWN,
    RejectCode.ELEMENT_UNEXPECTED,
    RejectCode.ELEMENT_MISSING,
    RejectCode.ATTRIBUTE_UNKNOWN,
    RejectCode.ATTRIBUTE_MISSING,
}


def outcome(data: bytes) -> Message | RejectCode:
    """A message or a code; any other exception fails the test."""
    try:
        sensor, results = decode_message_lenient_events(data)
    except SnmlError as error:
        refusal = error
    else:
        refusal = None
    if refusal is not None:
        assert refusal.code.refuses
        assert len(refusal.came) <= 2010  # 200 characters, each escaped
        return refusal.code
    refused = [result for result in results if isinstance(result, SnmlError)]
    assert [error.event_index for error in refused] == [i for i, r in enumerate(results) if isinstance(r, SnmlError)]
    if refused:
        return refused[0].code
    return Message(sensor, tuple(results))


@given(messages, st.integers(0, 2**32))
def test_broken_bytes_decode_or_end_in_a_code(message: Message, seed: int) -> None:
    rng = random.Random(seed)
    data = bytearray(encode_message(message))
    for _ in range(rng.randint(1, 4)):
        at, length = rng.randrange(len(data) + 1), rng.choice((1, 1, 2, 8, 40))
        match rng.randrange(5):
            case 0:
                data[at : at + length] = rng.randbytes(length)
            case 1:
                del data[at : at + length]
            case 2:
                data[at:at] = data[at : at + length] * rng.choice((1, 2, 50))
            case 3:
                data[at : at + 1] = rng.choice(
                    (b"<", b">", b"&", b'"', b"\x00", b"<!", b"<?", b"]]>", b"&#0;", b"\xff", b"=")
                )
            case 4:
                del data[at:]
    result = outcome(bytes(data))
    if isinstance(result, Message):
        assert decode_message(encode_message(result)) == result


@given(st.binary(max_size=300))
@example(b"")
@example(b"\xef\xbb\xbf")
@example(b"<SNML-Message/>")
def test_any_bytes_decode_or_end_in_a_code(data: bytes) -> None:
    outcome(data)


def mutate(root: etree._Element, rng: random.Random) -> None:
    """One change of structure somewhere below the root, or at it."""
    nodes = list(root.iter())
    node = rng.choice(nodes)
    parent = node.getparent()
    match rng.randrange(9):
        case 0 if parent is not None:
            parent.remove(node)
        case 1 if parent is not None:
            parent.insert(rng.randrange(len(parent) + 1), copy.deepcopy(node))
        case 2 if parent is not None:
            rng.choice([n for n in nodes if n not in set(node.iter())]).append(node)
        case 3:
            node.tag = rng.choice([*TAGS, "{urn:a}event", "x"])
        case 4 if node.attrib:
            del node.attrib[rng.choice(list(node.attrib))]
        case 5:
            node.set(rng.choice([*ATTRIBUTES, "x", "{http://www.w3.org/XML/1998/namespace}lang"]), rng.choice(VALUES))
        case 6:
            node.text = rng.choice((" ", "\n", "x", "\xa0", ""))
        case 7 if parent is not None:
            node.tail = rng.choice((" ", "\n", "x", "\xa0", ""))
        case 8:
            node.append(etree.Element(rng.choice(TAGS)))


@given(messages, st.integers(0, 2**32))
def test_the_dtd_and_the_hard_coded_checks_agree(message: Message, seed: int) -> None:
    rng = random.Random(seed)
    root = etree.fromstring(encode_message(message))
    for _ in range(rng.randint(1, 3)):
        mutate(root, rng)
    document = etree.tostring(root, encoding="utf-8")
    root = etree.fromstring(document)
    valid = DTD.validate(root)
    try:
        _, results = read_document(root, Limits().events)
        error = next((result for result in results if isinstance(result, SnmlError)), None)
    except SnmlError as refused:
        error = refused
    if not valid:
        assert error is not None, f"the DTD alone refuses: {DTD.error_log}"
    elif error is not None and error.code in STRUCTURE and root.tag == "SNML-Message":
        # Where the hard-coded checks are stricter on purpose.
        assert error.came in ("data below ipv6hdr",) or error.code is RejectCode.ROOT_UNKNOWN, (
            f"read.py alone refuses: {error}"
        )
    assert isinstance(outcome(document), RejectCode) == (error is not None)
