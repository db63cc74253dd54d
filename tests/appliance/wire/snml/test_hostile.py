"""Attacks on the decoder that a vector of readable size cannot hold: size, number, depth, amplification."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from appliance.wire.snml import (
    Detail,
    Encoding,
    Event,
    Limits,
    Message,
    Raw,
    RejectCode,
    Sensor,
    Signature,
    SnmlError,
    decode_message,
    encode_message,
)

ROOT = Path(__file__).parents[4]
SENSOR = Sensor(Encoding.HEX, Detail.FULL, "sensor1", "192.0.2.10", 4)
EVENT = Event(Signature("m"), (), 0, Raw(b"x"))
GOOD = encode_message(Message(SENSOR, (EVENT,)))
DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'
BOMB = b"<!DOCTYPE a [<!ENTITY a 'ha'>" + b"".join(b"<!ENTITY a%d '%s'>" % (i, b"&a;" * 10) for i in range(9)) + b"]>"
EXTERNAL = b"<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/hostname'>]>"

HEAD, TAIL = GOOD.split(b"<event>", 1)[0] + b"<event>", b"</event></SNML-Message>"

ATTACKS = {
    "a document of 5 MiB": (GOOD + b" " * (5 << 20), RejectCode.DOCUMENT_TOO_LARGE),
    "501 events": (encode_message(Message(SENSOR, (EVENT,) * 501)), RejectCode.EVENTS_TOO_MANY),
    "a million empty elements": (b"<a>" + b"<b/>" * 1_000_000 + b"</a>", RejectCode.MARKUP_TOO_MUCH),
    "half a million attributes": (
        b"<a " + b" ".join(b'a%d=""' % i for i in range(330_000)) + b"/>",
        RejectCode.MARKUP_TOO_MUCH,
    ),
    "the same with the other quotes": (
        b"<a " + b" ".join(b"a%d=''" % i for i in range(330_000)) + b"/>",
        RejectCode.MARKUP_TOO_MUCH,
    ),
    # Each of these took quadratic time when the DTD or lxml's items() saw it first.
    "300,000 unknown elements": (HEAD + b"<b/>" * 300_000 + TAIL, RejectCode.ELEMENT_MISSING),
    "300,000 elements without what they need": (HEAD + b"<option/>" * 300_000 + TAIL, RejectCode.ELEMENT_MISSING),
    "300,000 attributes of one element": (
        HEAD.replace(b"<event>", b"<event " + b" ".join(b'a%d=""' % i for i in range(300_000)) + b">") + TAIL,
        RejectCode.ATTRIBUTE_UNKNOWN,
    ),
    "100,000 namespaces": (
        HEAD + b"<signature>m</signature>" + b"".join(b'<b xmlns:a%d="u"/>' % i for i in range(100_000)) + TAIL,
        RejectCode.ELEMENT_MISSING,
    ),
    "80,000 references": (
        HEAD + b"<signature>m</signature>" + b'<reference system="a">b</reference>' * 80_000 + TAIL,
        RejectCode.ITEMS_TOO_MANY,
    ),
    "150,000 events": (
        HEAD + TAIL.replace(b"</event>", b"</event>" + b"<event/>" * 150_000),
        RejectCode.EVENTS_TOO_MANY,
    ),
    "300 nested elements": (b"<a>" * 300 + b"</a>" * 300, RejectCode.DEPTH_TOO_GREAT),
    "100,000 nested elements": (b"<a>" * 100_000, RejectCode.DEPTH_TOO_GREAT),
    "entities that grow a billionfold": (DECLARATION + BOMB + b"<a>&a8;</a>", RejectCode.DOCTYPE_PRESENT),
    "a file as an entity": (DECLARATION + EXTERNAL + b"<a>&x;</a>", RejectCode.DOCTYPE_PRESENT),
    "a DOCTYPE behind a comment": (b"<!-- --><!DOCTYPE a><a/>", RejectCode.MARKUP_PRESENT),
    "a payload of 70,000 octets": (GOOD.replace(b">78<", b">" + b"78" * 70_000 + b"<"), RejectCode.DATA_TOO_LONG),
    "a payload of 4 million characters": (
        GOOD.replace(b">78<", b">" + b"7" * 4_000_000 + b"<"),
        RejectCode.DATA_TOO_LONG,
    ),
    "a message of 2,000 characters": (GOOD.replace(b">m<", b">" + b"m" * 2000 + b"<"), RejectCode.TEXT_TOO_LONG),
    "a number of 4 million digits": (
        GOOD.replace(b"<signature>", b'<signature id="' + b"9" * 4_000_000 + b'">'),
        RejectCode.NUMBER,
    ),
    "UTF-16": (GOOD.decode().encode("utf-16"), RejectCode.NOT_UTF8),
    "UTF-16 without a mark": (GOOD.decode().encode("utf-16-le"), RejectCode.INPUT_MALFORMED),
    "an overlong UTF-8 <": (GOOD.replace(b">m<", b">\xc0\xbc<"), RejectCode.NOT_UTF8),
    "a NUL": (GOOD.replace(b">m<", b">\x00<"), RejectCode.INPUT_MALFORMED),
    "a NUL by reference": (GOOD.replace(b">m<", b">&#0;<"), RejectCode.INPUT_MALFORMED),
    "an escape character by reference": (GOOD.replace(b">m<", b">&#x9b;31m<"), RejectCode.TEXT),
    "a line break in a message": (GOOD.replace(b">m<", b">m&#10;forged line<"), RejectCode.TEXT),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_the_attack_ends_in_its_code(name: str) -> None:
    data, code = ATTACKS[name]
    with pytest.raises(SnmlError) as caught:
        decode_message(data)
    assert caught.value.code is code
    assert len(str(caught.value)) < 2000


MEASURE = """
import sys
from pathlib import Path
from appliance.wire.snml import SnmlError, decode_message_lenient_events

def peak_kib():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])

data = Path(sys.argv[1]).read_bytes()
before = peak_kib()
try:
    decode_message_lenient_events(data)
except SnmlError:
    pass
print(peak_kib() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc for the largest resident size")
@pytest.mark.parametrize("name", ATTACKS)
def test_no_attack_takes_more_than_256_mib(name: str, tmp_path: Path) -> None:
    document = tmp_path / "document.xml"
    document.write_bytes(ATTACKS[name][0])
    out = subprocess.run(
        [sys.executable, "-c", MEASURE, document], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert int(out.stdout) < 256 * 1024


def test_every_limit_can_be_lowered() -> None:
    for limits, code in (
        (Limits(document_bytes=len(GOOD) - 1), RejectCode.DOCUMENT_TOO_LARGE),
        (Limits(markup=5), RejectCode.MARKUP_TOO_MUCH),
    ):
        with pytest.raises(SnmlError) as caught:
            decode_message(GOOD, limits=limits)
        assert caught.value.code is code
    assert decode_message(GOOD, limits=Limits(document_bytes=len(GOOD), events=1)).events == (EVENT,)


def test_no_entity_reads_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the secret")
    for body in (
        f"<!DOCTYPE a SYSTEM '{secret}'><a/>",
        f"<!DOCTYPE a [<!ENTITY % x SYSTEM '{secret}'>%x;]><a/>",
        f"<a xmlns:xi='http://www.w3.org/2001/XInclude'><xi:include href='{secret}' parse='text'/></a>",
    ):
        with pytest.raises(SnmlError) as caught:
            decode_message(body.encode())
        assert "the secret" not in str(caught.value)


def test_threads_may_decode_at_once() -> None:
    """libxml2 compiles a DTD's content models at first use and knows no lock; ours must hold."""
    document = encode_message(Message(SENSOR, (EVENT,) * 50))
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(20):
                assert len(decode_message(document).events) == 50
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
