"""Every vector does what it says; every finer code has one that earns it."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.wire.snml import (
    Message,
    RejectCode,
    SnmlError,
    decode_message,
    decode_message_lenient_events,
    encode_message,
)
from tests.appliance.wire.snml.test_hostile import ATTACKS

FOLDER = Path(__file__).parents[3] / "vectors" / "snml"
FILES = sorted(FOLDER.glob("*.txt"))


@dataclass(frozen=True)
class Vector:
    expect: str
    event: int | None
    why: str
    holds: tuple[tuple[str, str], ...]
    document: bytes


def read(path: Path) -> Vector:
    head, _, document = path.read_bytes().partition(b"\n\n")
    values: dict[str, list[str]] = {"expect": [], "event": [], "why": [], "holds": []}
    for line in head.decode().splitlines():
        name, colon, value = line.partition(": ")
        assert colon, f"{path.name}: {line!r} is no field"
        assert name in values, f"{path.name}: nobody knows the field {name}"
        values[name].append(value)
    (expect,), (why,) = values["expect"], values["why"]
    event = int(values["event"][0]) if values["event"] else None
    holds = tuple((path, value) for path, _, value in (line.partition(" = ") for line in values["holds"]))
    return Vector(expect, event, why, holds, document)


def look_up(message: Message, path: str) -> object:
    value: object = message
    for name, index in re.findall(r"([a-z0-9_]+)|\[(\d+)\]", path):
        value = getattr(value, name) if name else value[int(index)]  # type: ignore[index]
    return value


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_vector_holds(path: Path) -> None:
    vector = read(path)
    if vector.expect == "accept":
        message = decode_message(vector.document)
        for place, value in vector.holds:
            assert repr(look_up(message, place)) == value, place
        assert decode_message(encode_message(message)) == message
        return
    with pytest.raises(SnmlError) as caught:
        decode_message(vector.document)
    assert (f"refuse {caught.value.code}", caught.value.event_index) == (vector.expect, vector.event)
    if vector.event is not None:
        _, results = decode_message_lenient_events(vector.document)
        assert [i for i, result in enumerate(results) if isinstance(result, SnmlError)] == [vector.event]


def test_an_unknown_field_makes_a_vector_fail(tmp_path: Path) -> None:
    vector = tmp_path / "x.txt"
    vector.write_text("expect: accept\nwhy: because\ncolour: red\n\n<a/>")
    with pytest.raises(AssertionError, match="nobody knows the field colour"):
        read(vector)


def test_the_files_are_those_that_the_generator_writes() -> None:
    script = FOLDER / "generate.py"
    result = subprocess.run([sys.executable, script, "--verify"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_every_code_of_the_decoder_is_earned_by_a_vector_or_an_attack() -> None:
    earned = {read(path).expect.removeprefix("refuse ") for path in FILES} | {str(code) for _, code in ATTACKS.values()}
    ours = {str(code) for code in RejectCode if code.number > 1000}
    assert ours <= earned
