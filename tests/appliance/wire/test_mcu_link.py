"""The link to the supervisor on any octets: a value or `LinkError`, nothing else, in bounded memory."""

from __future__ import annotations

import hmac
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.wire import mcu_link, mcu_words
from appliance.wire.mcu_link import MAX_BODY, MAX_FRAME, LinkError, Reader, Session, seal, unseal

VECTORS = Path(__file__).parents[2] / "vectors" / "mcu_link"
ROUNDS = int(os.environ.get("VEDETTE_FUZZ_ROUNDS", "0"))
KEY = bytes(range(32))

kinds = st.sampled_from(sorted(mcu_words.BODIES))
NUMBERS = {code: st.integers(least, most) for code, (least, most) in mcu_words.LEAST_AND_MOST.items()}


@st.composite
def words(draw: st.DrawFn) -> tuple[int, tuple[int | bytes, ...]]:
    """A kind and values that its word may have."""
    kind = draw(kinds)
    values: list[int | bytes] = []
    for at, code in enumerate(mcu_words.BODIES[kind][1].split()):
        if (kind, at) in mcu_words.CATALOGUES:
            values.append(draw(st.integers(0, len(mcu_words.CATALOGUES[kind, at]) - 1)))
        elif code in NUMBERS:
            values.append(draw(NUMBERS[code]))
        else:
            size = mcu_words.size_of(code)
            values.append(draw(st.binary(min_size=size, max_size=size or 100)))
    return kind, tuple(values)


@given(st.binary(max_size=100), st.lists(st.binary(max_size=100), max_size=4))
def test_hmac_is_that_of_the_standard_library(key: bytes, parts: list[bytes]) -> None:
    assert mcu_link.hmac_sha256(key, *parts) == hmac.digest(key, b"".join(parts), "sha256")


@given(st.binary(max_size=600))
def test_cobs_comes_back_and_holds_no_zero(data: bytes) -> None:
    encoded = mcu_link.cobs_encode(data)
    assert 0 not in encoded
    assert mcu_link.cobs_decode(encoded) == data


@given(st.integers(0, 255), st.integers(0, 0xFFFFFFFF), st.binary(max_size=MAX_BODY), st.binary(max_size=16))
def test_a_frame_comes_back_whole(kind: int, seq: int, body: bytes, context: bytes) -> None:
    frame = seal(KEY, kind, seq, body, context)
    assert frame.index(0) == len(frame) - 1 <= MAX_FRAME
    assert unseal(KEY, frame[:-1], context) == (kind, seq, body)


@given(st.binary(max_size=MAX_BODY), st.data())
def test_one_changed_octet_is_refused(body: bytes, data: st.DataObject) -> None:
    frame = bytearray(seal(KEY, mcu_words.BEAT, 1, body)[:-1])
    at = data.draw(st.integers(0, len(frame) - 1))
    frame[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(LinkError):
        unseal(KEY, bytes(frame))


@given(words())
def test_a_word_comes_back_whole(word: tuple[int, tuple[int | bytes, ...]]) -> None:
    kind, values = word
    came = mcu_words.unpack(kind, mcu_words.pack(kind, *values))
    assert came == values
    assert isinstance(came, mcu_words.BODIES[kind][0])


@given(kinds | st.integers(0, 255), st.binary(max_size=MAX_BODY))
def test_any_body_is_a_word_or_refused(kind: int, body: bytes) -> None:
    try:
        word = mcu_words.unpack(kind, body)
    except LinkError:
        return
    packed = mcu_words.pack(kind, *word)  # type: ignore[misc]
    assert body.startswith(packed)


@given(st.lists(st.binary(max_size=400), max_size=20))
def test_frames_do_not_depend_on_how_octets_come(pieces: list[bytes]) -> None:
    whole, pieced = Reader(), Reader()
    frames = whole.feed(b"".join(pieces))
    assert [frame for piece in pieces for frame in pieced.feed(piece)] == frames
    assert pieced.dropped == whole.dropped
    assert all(0 < len(frame) <= MAX_FRAME and 0 not in frame for frame in frames)


@given(st.binary(max_size=2000), st.binary(max_size=30))
def test_a_true_frame_is_found_behind_any_noise(noise: bytes, body: bytes) -> None:
    frame = seal(KEY, mcu_words.BEAT, 7, body)
    assert Reader().feed(noise + b"\0" + frame)[-1] == frame[:-1]


@given(st.lists(st.integers(1, 30), min_size=1, max_size=30))
def test_nothing_is_taken_twice_in_whatever_order_it_comes(order: list[int]) -> None:
    host = Session(KEY, bytes(16), bytes(16), is_host=True)
    supervisor = Session(KEY, bytes(16), bytes(16), is_host=False)
    frames = [host.seal(mcu_words.BEAT, bytes([number]))[:-1] for number in range(1, 31)]
    taken = []
    for number in order:
        try:
            taken.append(supervisor.open(frames[number - 1])[1][0])
        except LinkError:
            continue
    assert taken == sorted(set(taken))


def test_a_sequence_that_has_run_out_says_nothing_more() -> None:
    session = Session(KEY, bytes(16), bytes(16), is_host=True)
    session.outgoing = 0xFFFFFFFF
    with pytest.raises(LinkError):
        session.seal(mcu_words.BEAT)


def test_random_streams_end_in_silence_and_counters() -> None:
    """VEDETTE_FUZZ_ROUNDS=1000000 is the long run of `make firmware-test ARGS=--fuzz`."""
    session = Session(KEY, bytes(16), bytes(16), is_host=False)
    reader, noise = Reader(), random.Random(1)
    for _ in range(max(ROUNDS, 2000)):
        for frame in reader.feed(noise.randbytes(64)):
            with pytest.raises(LinkError):
                session.open(frame)
    assert session.incoming == 0
    assert reader.dropped >= 0


def test_the_vectors_are_as_their_script_writes_them() -> None:
    out = subprocess.run(
        [sys.executable, VECTORS / "generate.py", "--verify"], capture_output=True, text=True, check=False
    )
    assert out.returncode == 0, out.stdout
