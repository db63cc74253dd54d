"""The firmware on anything at all: no exception, no power cut without a reason, one turn at a time.

`VEDETTE_FUZZ_ROUNDS` makes the noise longer (`make firmware-test ARGS=--fuzz`).
"""

from __future__ import annotations

import os
import random

import cbor2
import pytest
from bench_board import Bench, Board, MemoryFolder
from fake_element import Element
from hypothesis import given
from hypothesis import strategies as st

from appliance.wire import mcu_link, mcu_words
from loader import records
from loader.records import Record
from supervisor import atecc, policy

ROUNDS = int(os.environ.get("VEDETTE_FUZZ_ROUNDS", "0"))
NUMBERS = {code: st.integers(least, most) for code, (least, most) in mcu_words.LEAST_AND_MOST.items()}
HOST_KINDS = [kind for kind in mcu_words.BODIES if kind % 2 == 0 and kind != mcu_words.HELLO]


@st.composite
def bodies(draw: st.DrawFn) -> tuple[int, bytes]:
    """A kind and a body of its length: numbers that there are, and numbers that there are not."""
    kind = draw(st.sampled_from(HOST_KINDS) | st.integers(0, 127).map(lambda half: half * 2))
    size = sum(mcu_words.size_of(code) for code in mcu_words.BODIES.get(kind, (None, ""))[1].split())
    low = st.lists(st.sampled_from([0, 1, 2, 3, 15, 48, 64, 255]), min_size=size, max_size=size).map(bytes)
    return kind, draw(low) + draw(st.binary(max_size=8))


steps = st.lists(
    st.one_of(
        st.tuples(st.just("say"), bodies()),
        st.tuples(st.just("noise"), st.binary(max_size=100)),
        st.tuples(st.just("time"), st.sampled_from([1, 10, 999, 5_000, 15_000, 60_000, 3_600_000])),
        st.tuples(st.just("button"), st.booleans()),
        st.tuples(st.just("tamper"), st.booleans()),
        st.tuples(st.just("supply"), st.sampled_from([None, 0, 4_000, 5_000, 70_000])),
        st.tuples(st.just("room"), st.sampled_from([None, 0, 10, 300])),
        st.tuples(st.just("reset"), st.booleans()),
        st.tuples(st.just("hello"), st.none()),
    ),
    max_size=60,
)


@given(steps)
def test_whatever_happens_the_loop_goes_on_and_power_is_as_the_state_says(happened: list[tuple[str, object]]) -> None:
    one = Bench(Board(bus=Element()))
    one.hello()
    for what, value in happened:
        if what == "say":
            kind, body = value  # type: ignore[misc]
            one.board.inbox.extend(one.session.seal(kind, body[: mcu_link.MAX_BODY]))
        elif what == "noise":
            one.board.inbox.extend(value)  # type: ignore[arg-type]
        elif what == "button":
            one.board.is_down = value
        elif what == "tamper":
            one.board.is_open = value
        elif what == "supply":
            one.board.volts_mv = value
        elif what == "room":
            one.board.folder.room = value
        elif what == "reset":
            one.reset(bool(value))
        elif what == "hello":
            one.hello(one.supervisor.pairing.key)
        fed = one.board.fed
        one.turn(value if what == "time" else 10)  # type: ignore[arg-type]
        assert one.board.fed == fed + 1
        state = one.supervisor.policy.state
        assert one.board.has_power is (state not in (policy.CYCLE, policy.OFF))
        assert len(one.supervisor.journal.events) <= 24
        one.board.outbox.clear()


@given(st.binary(max_size=300))
def test_a_record_file_is_whole_or_nothing(data: bytes) -> None:
    number, kept = records.unwrap(data)
    assert kept is None or records.wrap(number, kept) == data


@given(st.lists(st.tuples(st.binary(max_size=60), st.integers(0, 80)), min_size=1, max_size=12))
def test_a_record_is_always_the_last_value_or_the_one_before(writes: list[tuple[bytes, int]]) -> None:
    """Each write has so much room; the folder is read anew after each, as after a power cut."""
    folder, known = MemoryFolder(), None
    for data, room in writes:
        record = Record(folder, "r")
        assert record.load() == known
        folder.room = room
        try:
            record.save(data)
            known = data
        except OSError:
            pass
        folder.room = None
    assert Record(folder, "r").load() == known


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.integers(-20, 20) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(plain)
def test_cbor_comes_back(value: object) -> None:
    octets = cbor2.dumps(value)
    try:
        came = cbor2.loads(octets)
    except ValueError as error:
        reason = str(error)
        came = value if reason == "too deep" else reason
    assert came == value


@given(st.binary(max_size=100))
def test_any_octets_are_cbor_or_refused(data: bytes) -> None:
    try:
        cbor2.loads(data)
    except ValueError:
        return


@pytest.mark.parametrize(
    ("octets", "value"),
    [  # RFC 8949, appendix A
        ("1903e8", 1000), ("3903e7", -1000), ("1b000000e8d4a51000", 10**12), ("fa47c35000", 100000.0),
        ("fb3ff199999999999a", 1.1), ("f4", False), ("f6", None), ("4401020304", b"\1\2\3\4"), ("6449455446", "IETF"),
        ("83010203", [1, 2, 3]), ("a201020304", {1: 2, 3: 4}),
    ],
)  # fmt: skip
def test_cbor_is_that_of_the_rfc(octets: str, value: object) -> None:
    assert cbor2.dumps(value).hex() == octets
    assert cbor2.loads(bytes.fromhex(octets)) == value


@given(st.binary(max_size=40))
def test_the_crc_of_the_element_is_the_polynomial_division(data: bytes) -> None:
    """Slow and obvious: the message's bits, least significant first, divided by x^16 + x^15 + x^2 + 1."""
    bits = [octet >> at & 1 for octet in data for at in range(8)] + [0] * 16
    for at in range(len(bits) - 16):
        if bits[at]:
            for power in (16, 15, 2, 0):
                bits[at + 16 - power] ^= 1
    value = int("".join(map(str, bits[-16:])), 2)
    assert atecc.crc16(data) == value.to_bytes(2, "little")


def test_noise_in_a_running_supervisor_is_silence_and_counters() -> None:
    one = Bench()
    one.hello()
    one.beat()
    one.board.outbox.clear()
    noise = random.Random(2)
    for _ in range(max(ROUNDS, 1000)):
        one.board.inbox.extend(noise.randbytes(noise.randrange(1, 60)) + b"\0")
        one.turn(0)
    assert one.board.outbox == b""
    assert one.state() == "UP"
    assert one.board.power_changes == [True]
    assert one.beat().dropped > 900


@given(st.lists(st.tuples(st.sampled_from(["beat", "time", "replay", "hello"]), st.integers(0, 40)), max_size=40))
def test_replays_between_true_frames_change_nothing_but_a_counter(steps: list[tuple[str, int]]) -> None:
    """Two supervisors hear the same host, one of them also what was said before: they stay the same."""
    clean, replayed = Bench(), Bench()
    said: list[bytes] = []
    for one in (clean, replayed):
        one.hello()
        one.beat()
    body = mcu_words.pack(mcu_words.BEAT, mcu_words.RUNNING, mcu_words.ALL_ALIVE, 1)
    old_hello = mcu_link.seal(clean.key, mcu_words.HELLO, 0, mcu_words.pack(mcu_words.HELLO, bytes(16), 1, 1, 0))
    for what, number in steps:
        if what == "beat":
            frame = clean.session.seal(mcu_words.BEAT, body)
            replayed.session.outgoing += 1
            said.append(frame)
            clean.board.inbox.extend(frame)
            replayed.board.inbox.extend(frame)
        elif what == "replay" and said:
            replayed.board.inbox.extend(said[number % len(said)])
        elif what == "hello":
            replayed.board.inbox.extend(old_hello)
        for one in (clean, replayed):
            one.turn(number * 300 if what == "time" else 10)
    assert replayed.supervisor.policy.__dict__ == clean.supervisor.policy.__dict__
    assert replayed.board.power_changes == clean.board.power_changes
    assert replayed.supervisor.journal.events == clean.supervisor.journal.events
