"""What the build packs, the supervisor unpacks: every name and octet, or both refuse."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.uf2 import upgrade
from firmware.uf2.build import TREE
from firmware.uf2.errors import ImageError
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
    taker = reader.Upgrade(kept, trial, board, upgrade.BYTECODE)
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
    assert taken(folder, upgrade.pack(BOARD, files)) == (reader.WRITTEN, A)
    assert {name: (folder / SLOTS[A] / name).read_bytes() for name in files} == files


def test_a_file_for_another_board_is_not_put_on_trial(tmp_path: Path) -> None:
    assert taken(tmp_path, upgrade.pack(BOARD, {"release.mpy": b""}), board=1) == (reader.NOT_OURS, 0)


@pytest.mark.parametrize("name", ["", "/a.mpy", "../a.mpy", "a//b.mpy", "A.mpy", "a.txt", "a" * 40 + ".mpy", "a b.mpy"])
def test_a_name_that_the_supervisor_would_refuse_is_not_packed(name: str) -> None:
    with pytest.raises(ImageError):
        upgrade.pack(BOARD, {name: b""})


def test_too_much_is_not_packed() -> None:
    with pytest.raises(ImageError):
        upgrade.pack(BOARD, {"a.mpy": bytes(upgrade.MOST_BYTES)})
    with pytest.raises(ImageError):
        upgrade.pack(BOARD, {f"m{number}.mpy": b"" for number in range(upgrade.MOST_FILES + 1)})
    with pytest.raises(ImageError):
        upgrade.pack(BOARD, {})


def test_both_sides_have_the_same_limits() -> None:
    names = ("MAGIC", "MOST_BYTES", "MOST_FILES", "MOST_NAME")
    assert [getattr(upgrade, name) for name in names] == [getattr(reader, name) for name in names]


def test_an_upgrade_holds_what_may_be_replaced_and_nothing_that_chooses(tmp_path: Path) -> None:
    (tmp_path / "senml").mkdir()
    (tmp_path / "senml/__init__.py").touch()
    names = set(upgrade.modules(TREE, tmp_path, tmp_path))
    assert {"release", "supervisor/loop", "supervisor/policy", "appliance/wire/mcu_link", "senml/__init__"} <= names
    assert not {name.split("/")[0] for name in names} & {"loader", "board", "start", "pins", "main"}
