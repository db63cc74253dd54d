"""What is frozen: the module that names the release, and the manifest of each board."""

from __future__ import annotations

import ast

import pytest

from firmware.uf2.boards import BOARDS, Board
from firmware.uf2.errors import HostError
from firmware.uf2.manifest import board_manifest, numbers, release_module, tag


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_the_release_module_says_version_and_board(board: Board) -> None:
    names: dict[str, object] = {}
    exec(release_module("1.20.3rc1", board), names)  # noqa: S102  (text of our own)
    assert (names["VERSION"], names["NUMBERS"], names["BOARD"]) == ("1.20.3", (1, 20, 3), board.name)


@pytest.mark.parametrize(
    ("version", "three"),
    [
        ("1.2.3", (1, 2, 3)),
        ("0.1.0", (0, 1, 0)),
        ("255.0.255", (255, 0, 255)),
        ("1.2.3rc1", (1, 2, 3)),
        ("1.2.3.dev4", (1, 2, 3)),
        ("1.2.3+local", (1, 2, 3)),
    ],
)
def test_a_version_of_the_product_has_three_numbers(version: str, three: tuple[int, int, int]) -> None:
    assert numbers(version) == three


@pytest.mark.parametrize("version", ["", "1", "1.2", "1.2.256", "-1.2.3", "1.2.3\n", "1.2.3'", "a.b.c"])
def test_anything_else_is_refused(version: str) -> None:
    with pytest.raises(HostError):
        release_module(version, BOARDS[0])


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_a_board_freezes_our_modules_its_own_folder_and_nothing_from_outside(board: Board) -> None:
    text = board_manifest("/tree", "/generated", "/senml", board)
    called = {node.func.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)}  # type: ignore[attr-defined]
    assert called == {"freeze", "include", "module"}
    assert 'include("/tree/firmware/manifest.py", senml="/senml")' in text
    assert f'freeze("/tree/firmware/board/{board.name}")' in text


def test_an_image_names_both_versions() -> None:
    assert tag("v1.25.0", "0.1.0") == "v1.25.0+vedette.0.1.0"
