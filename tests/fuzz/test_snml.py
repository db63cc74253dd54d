"""The SNML decoder against documents grown from the vectors by splicing, repeating and a dictionary of its own words.

Rules of this file: deterministic (a seed is a case, and the failing seed is in the test's name); a document ends in a
message, in refused events or in one SnmlError, and what was accepted is written and read again to the same.
VEDETTE_FUZZ_ROUNDS sets the number of documents of each seed for a long run.
"""

from __future__ import annotations

import os
import random
import re
from pathlib import Path

import pytest

from appliance.wire.snml import (
    Encoding,
    Event,
    Message,
    SnmlError,
    decode_event,
    decode_message,
    decode_message_lenient_events,
    encode_message,
)

VECTORS = Path(__file__).parents[1] / "vectors" / "snml"
ROUNDS = int(os.environ.get("VEDETTE_FUZZ_ROUNDS", "150"))
SEEDS = range(8)
CORPUS = [path.read_bytes().partition(b"\n\n")[2] for path in sorted(VECTORS.glob("*.txt"))]
GOOD = [path.read_bytes().partition(b"\n\n")[2] for path in sorted(VECTORS.glob("good-*.txt"))]
TOKEN = re.compile(rb"\"[^\"<>]*\"|[<>]|[^<>\"]+")
WORDS = sorted({token for document in CORPUS for token in TOKEN.findall(document)})
VALUES = [word for word in WORDS if word.startswith(b'"')]
HOSTILE = (
    b"<![CDATA[", b"]]>", b"<!DOCTYPE a>", b"<?a?>", b"<!--", b"-->", b"&lt;", b"&#0;", b"&#xD800;", b"&#x10FFFF;",
    b"&amp", b"\x00", b"\xef\xbf\xbe", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf", b" xmlns:a='b'", b"a:",
    b"xml:space='preserve'", b"18446744073709551616", b"-0", b"1e3", b"0x10", b"::ffff:1.2.3.4", b"1.2.3.4.", b"::%1",
    b"\xc2\x85", b"\xe2\x80\xa8",
)  # fmt: skip


def grow(rng: random.Random) -> bytes:
    """A document of some tokens of one vector, changed in a few places."""
    tokens = TOKEN.findall(rng.choice(rng.choice((GOOD, CORPUS))))
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(tokens) + 1)
        match rng.randrange(8):
            case 0:
                tokens[at:at] = [rng.choice(WORDS)]
            case 1:
                tokens[at:at] = [rng.choice(HOSTILE)]
            case 2:
                tokens[at : at + 1] = [rng.choice(WORDS)]
            case 3:
                del tokens[at : at + rng.choice((1, 1, 2, 5))]
            case 4:
                other = TOKEN.findall(rng.choice(CORPUS))
                start = rng.randrange(len(other))
                tokens[at:at] = other[start : start + rng.randint(1, 30)]
            case 5 | 6:
                values = [i for i, token in enumerate(tokens) if token.startswith(b'"')]
                if values:
                    tokens[rng.choice(values)] = rng.choice(VALUES)
            case 7:
                tokens[at:at] = tokens[at : at + rng.randint(1, 6)] * rng.choice((1, 2, 200))
    return b"".join(tokens)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_document_ends_in_a_message_or_in_a_code(seed: int) -> None:
    rng = random.Random(seed)
    accepted = 0
    for _ in range(ROUNDS):
        document = grow(rng)
        try:
            sensor, results = decode_message_lenient_events(document)
        except SnmlError:
            continue
        good = tuple(result for result in results if isinstance(result, Event))
        accepted += len(good)
        if good:
            message = Message(sensor, good)
            assert decode_message(encode_message(message)) == message
    assert accepted, "nothing was accepted: the mutations only break"


@pytest.mark.parametrize("seed", SEEDS)
def test_every_fragment_ends_in_an_event_or_in_a_code(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(ROUNDS):
        document = grow(rng)
        start, end = document.find(b"<event>"), document.find(b"</event>")
        fragment = document[start : end + 8] if 0 <= start < end else document
        try:
            decode_event(fragment, rng.choice(list(Encoding)))
        except SnmlError:
            continue
