"""The folder of a build: upstream's trees made whole, ours beside them, and nothing of the builder in it."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from firmware.uf2.boards import BOARDS
from firmware.uf2.build import TREE
from firmware.uf2.debian import Debian
from firmware.uf2.errors import HostError
from firmware.uf2.sources import MBEDTLS, MICROPYTHON
from firmware.uf2.stage import prepare


@pytest.fixture
def archives(tmp_path: Path) -> Path:
    """Archives as Debian has them: one folder at the top, submodules' folders empty."""
    folder = tmp_path / "sources"
    folder.mkdir()
    for source, empty in ((MICROPYTHON, ("lib/pico-sdk", "lib/tinyusb", "lib/mbedtls")), (MBEDTLS, ("library",))):
        kind = source.archive.rpartition(".")[2]
        with tarfile.open(folder / source.archive, f"w:{kind}") as packed:  # type: ignore[call-overload]
            for name in empty:
                entry = tarfile.TarInfo(f"{source.package}-1/{name}")
                entry.type = tarfile.DIRTYPE
                entry.mode = 0o755
                packed.addfile(entry)
            octets = source.package.encode()
            entry = tarfile.TarInfo(f"{source.package}-1/README.md")
            entry.size = len(octets)
            packed.addfile(entry, io.BytesIO(octets))
    return folder


@pytest.fixture
def debian(tmp_path: Path) -> Debian:
    return Debian(tmp_path / "debian", lambda _: None)


@pytest.fixture
def libraries(tmp_path: Path) -> Path:
    (tmp_path / "libraries/senml").mkdir(parents=True)
    (tmp_path / "libraries/senml/__init__.py").touch()
    return tmp_path / "libraries"


def test_empty_submodules_become_debians_packages(debian: Debian, archives: Path, libraries: Path) -> None:
    stage = prepare(debian, "one", archives, libraries, TREE, "0.1.0")
    aims = {name: str((stage.micropython / "lib" / name).readlink()) for name in ("pico-sdk", "tinyusb", "mbedtls")}
    assert aims["pico-sdk"] == "/usr/src/pico-sdk"
    assert aims["tinyusb"] == "/usr/src/tinyusb"
    assert (debian.root / aims["mbedtls"].lstrip("/") / "README.md").read_text() == "mbedtls"


def test_each_board_has_its_manifest_and_its_release(debian: Debian, archives: Path, libraries: Path) -> None:
    stage = prepare(debian, "one", archives, libraries, TREE, "0.1.0")
    for board in BOARDS:
        assert f"BOARD = {board.name!r}" in (stage.generated(board.name) / "release.py").read_text()
        assert str(debian.root) not in stage.manifest(board.name).read_text()


def test_what_builds_is_not_beside_what_is_frozen(debian: Debian, archives: Path, libraries: Path) -> None:
    stage = prepare(debian, "one", archives, libraries, TREE, "0.1.0")
    assert (stage.tree / "firmware/supervisor/loop.py").is_file()
    assert (stage.tree / "appliance/wire/mcu_link.py").is_file()
    assert not (stage.tree / "firmware/uf2").exists()
    assert not list(stage.tree.rglob("__pycache__"))


def test_a_build_begins_with_nothing_of_the_one_before(debian: Debian, archives: Path, libraries: Path) -> None:
    stage = prepare(debian, "one", archives, libraries, TREE, "0.1.0")
    (stage.folder / "build-rp2040").mkdir()
    prepare(debian, "one", archives, libraries, TREE, "0.1.0")
    assert not (stage.folder / "build-rp2040").exists()


def test_a_tree_without_a_board_is_refused(debian: Debian, archives: Path, libraries: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "firmware").mkdir(parents=True)
    (tree / "appliance/wire").mkdir(parents=True)
    (tree / "appliance/__init__.py").touch()
    with pytest.raises(HostError, match="each board has its folder"):
        prepare(debian, "one", archives, libraries, tree, "0.1.0")
