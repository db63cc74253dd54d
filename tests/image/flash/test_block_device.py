"""A real block device of the kernel's, which a tree of files says is a stick: exclusive use, flushing, reading back."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from image.flash.cli import main
from image.flash.linux import Linux
from tests.image.flash.sticks import MIB, SETUP, image, machine

IMAGE = image()
DISK_BYTES = 32 * MIB


@pytest.fixture
def device(tmp_path: Path) -> Iterator[str]:
    backing = tmp_path / "backing"
    backing.write_bytes(os.urandom(DISK_BYTES))
    if shutil.which("losetup") is None:
        pytest.skip("needs losetup")
    made = subprocess.run(["losetup", "--find", "--show", str(backing)], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"needs loop devices: {made.stderr.strip()}")
    path = made.stdout.strip()
    try:
        yield path
    finally:
        subprocess.run(["losetup", "--detach", path], check=True)


def desk(root: Path, device: str) -> tuple[Path, Linux]:
    name = os.path.basename(device)
    machine(root, name, DISK_BYTES, number=f"7:{name[4:]}")
    path = root / "v.raw"
    path.write_bytes(IMAGE)
    (root / "SHA256SUMS").write_text(f"{hashlib.sha256(IMAGE).hexdigest()}  v.raw\n", encoding="ascii")
    (root / "vedette-setup.toml").write_bytes(SETUP)
    return path, Linux(root / "sys", root / "proc", root / "udev", virtual=True)


@pytest.mark.root
def test_a_block_device_becomes_the_stick(tmp_path: Path, device: str) -> None:
    path, linux = desk(tmp_path, device)
    assert main([str(path), "--disk", device, "--yes", "--settings", str(tmp_path)], linux) == 0
    with open(device, "rb") as file:
        found = file.read()
    assert found[: 10 * MIB] == IMAGE[: 10 * MIB]
    assert SETUP in found
    assert found[-MIB:] == bytes(MIB)
    assert main([str(path), "--disk", device, "--verify-only"], linux) == 0


@pytest.mark.root
def test_a_device_that_another_program_holds_is_left_alone(
    tmp_path: Path, device: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path, linux = desk(tmp_path, device)
    before = (tmp_path / "backing").read_bytes()
    holder = os.open(device, os.O_RDONLY | os.O_EXCL)
    try:
        assert main([str(path), "--disk", device, "--yes"], linux) == 4
    finally:
        os.close(holder)
    assert "in use" in capsys.readouterr().err
    assert (tmp_path / "backing").read_bytes() == before


@pytest.mark.root
def test_a_device_of_another_size_than_listed_is_left_alone(tmp_path: Path, device: str) -> None:
    path, linux = desk(tmp_path, device)
    size = (tmp_path / "sys/block" / os.path.basename(device)).resolve() / "size"
    size.write_text(str(DISK_BYTES // 512 + 8), encoding="ascii")
    assert main([str(path), "--disk", device, "--yes"], linux) == 4
