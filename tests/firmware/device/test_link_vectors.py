"""The link against its vectors: the same files on CPython and on MicroPython.

Rules of this file: what MicroPython has, and nothing else; a field that is not known fails.
"""

import os
from binascii import hexlify, unhexlify

from appliance.wire import mcu_link, mcu_words

FOLDER = "/".join(__file__.split("/")[:-3]) + "/vectors/mcu_link"
FIELDS = [
    "expect",
    "why",
    "key",
    "context",
    "kind",
    "seq",
    "body",
    "octets",
    "field",
    "frame",
    "host",
    "supervisor",
    "host-says",
    "supervisor-says",
    "refuse",
]


def read(path: str) -> "tuple[dict[str, str], list[tuple[str, str]]]":
    """The fields by name, and all of them in their order."""
    order = []
    with open(path) as file:
        for line in file:
            name, value = line.rstrip("\n").split(": ", 1)
            assert name in FIELDS, name
            order.append((name, value))
    return dict(order), order


def octets(text: str) -> bytes:
    return unhexlify(text)


def refusal(function, *arguments) -> str:  # type: ignore[no-untyped-def]
    """Why it was refused."""
    try:
        function(*arguments)
    except mcu_link.LinkError as error:
        return str(error.args[0])
    return "not refused"


def check_open(one, order, _) -> None:  # type: ignore[no-untyped-def]
    key, context, frame = octets(one["key"]), octets(one["context"]), octets(one["octets"])
    kind, seq, body = int(one["kind"]), int(one["seq"]), octets(one["body"])
    assert mcu_link.unseal(key, frame, context) == (kind, seq, body)
    assert mcu_link.seal(key, kind, seq, body, context) == frame + b"\0"


def check_refuse(one, order, reason) -> None:  # type: ignore[no-untyped-def]
    assert refusal(mcu_link.unseal, octets(one["key"]), octets(one["octets"]), octets(one["context"])) == reason


def check_word(one, order, name) -> None:  # type: ignore[no-untyped-def]
    kind, body = int(one["kind"]), octets(one["body"])
    word = mcu_words.unpack(kind, body)
    assert type(word).__name__ == name
    fields = [value.split(" = ") for field, value in order if field == "field"]
    for field, text in fields:
        value = getattr(word, field)
        assert (hexlify(value).decode() if isinstance(value, bytes) else str(value)) == text, field
    assert len(fields) == len(word)
    packed = mcu_words.pack(kind, *word)
    assert packed == body if one["expect"].startswith("word") else body.startswith(packed) and packed != body


def check_refuse_word(one, order, reason) -> None:  # type: ignore[no-untyped-def]
    assert refusal(mcu_words.unpack, int(one["kind"]), octets(one["body"])) == reason


def check_stream(one, order, dropped) -> None:  # type: ignore[no-untyped-def]
    data = octets(one["octets"])
    wanted = [octets(value) for field, value in order if field == "frame"]
    for piece in (1, 7, len(data)):
        reader, came = mcu_link.Reader(), []
        for at in range(0, len(data), piece):
            came.extend(reader.feed(data[at : at + piece]))
        assert (came, reader.dropped) == (wanted, int(dropped)), piece


def check_session(one, order, _) -> None:  # type: ignore[no-untyped-def]
    key, nonces = octets(one["key"]), (octets(one["host"]), octets(one["supervisor"]))
    sides = {who: mcu_link.Session(key, nonces[0], nonces[1], who == "host") for who in ("host", "supervisor")}
    for field, value in order:
        if field.endswith("-says"):
            who = field[:-5]
            word, frame = value.split(" = ")
            kind, body = word.split(" ", 1)
            assert sides[who].seal(int(kind), octets(body)) == octets(frame) + b"\0"
            other = sides["supervisor" if who == "host" else "host"]
            assert other.open(octets(frame)) == (int(kind), octets(body))
        elif field == "refuse":
            who, frame = value.split(" ")
            other = sides["supervisor" if who == "host" else "host"]
            before = other.incoming
            assert refusal(other.open, octets(frame)) != "not refused"
            assert other.incoming == before


CHECKS = {
    "open": check_open,
    "refuse": check_refuse,
    "word": check_word,
    "read": check_word,
    "refuse-word": check_refuse_word,
    "stream": check_stream,
    "session": check_session,
}


def test_every_vector_is_met() -> None:
    names = [name for name in os.listdir(FOLDER) if name.endswith(".txt")]
    assert len(names) >= 40
    for name in sorted(names):
        one, order = read(FOLDER + "/" + name)
        expect, _, detail = (one["expect"] + "  ").partition(" ")
        try:
            CHECKS[expect](one, order, detail.strip())
        except Exception:
            print("vector " + name)
            raise


def test_a_word_that_cannot_be_said_is_refused_before_it_is_sent() -> None:
    for values in ((70000, 0), (-1, 0), (60, 3), (60,), (60, 0, 0), (b"xx", 0)):
        assert refusal(mcu_words.pack, mcu_words.HOLD, *values) in ("value", "fields"), values
    assert refusal(mcu_words.pack, mcu_words.PAIR, bytes(31)) == "length"
    assert refusal(mcu_words.pack, mcu_words.SECURE, 48, 0, 0, bytes(189)) == "too long"
    assert refusal(mcu_link.seal, bytes(32), 16, 1, bytes(193)) == "too long"
    assert refusal(mcu_link.seal, bytes(32), 16, 1 << 32) == "too long"


def test_the_versions_in_common_are_found_or_there_is_none() -> None:
    assert mcu_words.version_in_common(1, 1) == 1
    assert mcu_words.version_in_common(1, 9) == mcu_words.NEWEST
    assert mcu_words.version_in_common(2, 9) == 0
    assert mcu_words.version_in_common(0, 0) == 0
    assert mcu_words.version_in_common(9, 1) == 0
