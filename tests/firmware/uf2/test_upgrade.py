"""What the build packs, the supervisor unpacks: every name and octet, and for no other board."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware import vfw
from loader.folder import Folder
from loader.records import Record
from loader.trial import SLOTS, A, Trial
from supervisor import upgrade as reader

BOARD = 2
BLOCK = 160
NAMES = st.from_regex(r"[a-z0-9_]{1,8}(/[a-z0-9_]{1,8}){0,2}\.mpy", fullmatch=True)


def taken(folder: Path, packed: bytes, board: int = BOARD) -> tuple[int, int]:
    """What the supervisor makes of a file: its stage, and the slot that is on trial."""
    kept = Folder(str(folder))
    trial = Trial(Record(kept, "trial"))
    taker = reader.Upgrade(kept, trial, board, vfw.MPY)
    taker.begin(len(packed), hashlib.sha256(packed).digest())
    for at in range(0, len(packed), BLOCK):
        taker.block(at, packed[at : at + BLOCK])
    taker.end()
    return taker.stage, trial.on_trial


def prefix_free(files: dict[str, bytes]) -> bool:
    """No file is also the folder of another."""
    return not any(other.startswith(f"{name}/") for name in files for other in files)


@given(st.dictionaries(NAMES, st.binary(max_size=700), min_size=1, max_size=6).filter(prefix_free))
def test_every_name_and_octet_arrives(tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]) -> None:
    folder = tmp_path_factory.mktemp("flash")
    assert taken(folder, vfw.pack(BOARD, files)) == (reader.WRITTEN, A)
    assert {name: (folder / SLOTS[A] / name).read_bytes() for name in files} == files


def test_a_file_for_another_board_is_not_put_on_trial(tmp_path: Path) -> None:
    assert taken(tmp_path, vfw.pack(BOARD, {"release.mpy": b""}), board=1) == (reader.NOT_OURS, 0)
