"""From a command to a stick: what is on it then, what is left when it breaks, and what is never touched."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from image.flash import medium as medium_module
from image.flash import pyz, zstd_stream
from image.flash.cli import main
from image.flash.fat16 import read_file
from image.flash.linux import Linux
from tests.image.flash.sticks import MIB, SETUP, image, machine

IMAGE = image()
STICK_BYTES = 24 * MIB
FAT_AT = MIB + MIB + 8 * MIB
OLD = b"somebody's holiday pictures ".ljust(512, b"!") * (STICK_BYTES // 512)


class Desk:
    """A computer with one stick in it, which is a file."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.stick = root / "dev" / "sdb"
        self.stick.parent.mkdir(parents=True)
        self.stick.write_bytes(OLD)
        machine(root, "sdb", STICK_BYTES, partitions=(("sdb1", 8 * MIB, "8:17"),))
        self.linux = Linux(root / "sys", root / "proc", root / "udev", root / "dev", virtual=True)
        self.folder = root / "download"
        self.folder.mkdir()
        self.settings = root / "berlin"
        self.settings.mkdir()
        (self.settings / "vedette-setup.toml").write_bytes(SETUP)

    def image(self, data: bytes = IMAGE, name: str = "vedette-install_1.0.raw") -> Path:
        """An image with its list of sums."""
        path = self.folder / name
        path.write_bytes(data)
        line = f"{hashlib.sha256(data).hexdigest()}  {name}\n"
        (self.folder / "SHA256SUMS").write_text(line, encoding="ascii")
        return path

    def flash(self, *argv: object) -> int:
        """The command."""
        return main([str(word) for word in argv], self.linux)

    def setup(self) -> bytes:
        """The settings on the stick."""
        data = self.stick.read_bytes()[FAT_AT:]
        return read_file(lambda at, size: data[at : at + size], 4 * MIB, "vedette-setup.toml")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_the_stick_is_the_image_and_nothing_of_before_is_left(desk: Desk) -> None:
    assert desk.flash(desk.image(), "--disk", "sdb", "--yes") == 0
    found = desk.stick.read_bytes()
    assert found[: len(IMAGE)] == IMAGE
    assert found[-MIB:] == bytes(MIB)


def test_a_compressed_image_makes_the_same_stick(desk: Desk) -> None:
    packed = zstandard.ZstdCompressor().compress(IMAGE)
    assert desk.flash(desk.image(packed, "v.raw.zst"), "--disk", "sdb", "--yes") == 0
    assert desk.stick.read_bytes()[: len(IMAGE)] == IMAGE


def test_the_settings_are_on_the_stick_and_all_else_is_the_image(desk: Desk) -> None:
    path = desk.image()
    assert desk.flash(path, "--disk", "sdb", "--yes", "--settings", desk.settings) == 0
    assert desk.setup() == SETUP
    assert desk.stick.read_bytes()[:FAT_AT] == IMAGE[:FAT_AT]
    assert desk.flash(path, "--disk", "sdb", "--verify-only") == 0


def test_the_secret_is_never_told(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert desk.flash(desk.image(), "--disk", "sdb", "--yes", "--json", "--settings", desk.settings) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["verified"] is True
    assert "acme/berlin" in told.err
    assert "x" * 43 not in told.out + told.err


def test_a_dry_run_writes_nothing(desk: Desk) -> None:
    assert desk.flash(desk.image(), "--disk", "sdb", "--dry-run", "--settings", desk.settings) == 0
    assert desk.stick.read_bytes() == OLD


@pytest.mark.parametrize(("answer", "code"), [("sdb\n", 0), ("yes\n", 1), ("\n", 1), ("", 1)])
def test_only_the_name_of_the_disk_is_a_yes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    assert desk.flash(desk.image()) == code
    assert (desk.stick.read_bytes() == OLD) is (code != 0)


def test_without_a_terminal_nothing_is_assumed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("sdb\n"))
    assert desk.flash(desk.image()) == 1
    assert desk.stick.read_bytes() == OLD


def _other(desk: Desk) -> list[object]:
    path = desk.image()
    path.write_bytes(IMAGE[:-1] + b"?")
    return [path]


def _unlisted(desk: Desk) -> list[object]:
    return [desk.image().rename(desk.folder / "renamed.raw")]


def _no_sums(desk: Desk) -> list[object]:
    path = desk.image()
    (desk.folder / "SHA256SUMS").unlink()
    return [path]


def _another_sum(desk: Desk) -> list[object]:
    return [desk.image(), "--sha256", "0" * 64]


def _no_disk_image(desk: Desk) -> list[object]:
    return [desk.image(b"a letter to my aunt\n" * 100_000)]


def _broken_table(desk: Desk) -> list[object]:
    data = bytearray(IMAGE)
    data[1024 + 40] ^= 1
    return [desk.image(bytes(data))]


def _cut_raw(desk: Desk) -> list[object]:
    return [desk.image(IMAGE[:-512])]


def _no_settings(desk: Desk) -> list[object]:
    return [desk.image(), "--settings", desk.folder]


def _used(desk: Desk) -> list[object]:
    (desk.settings / "vedette-setup.toml").write_bytes(SETUP.replace(b"x" * 43, b"." * 43))
    return [desk.image(), "--settings", desk.settings]


def _misspelt(desk: Desk) -> list[object]:
    (desk.settings / "vedette-setup.toml").write_bytes(SETUP.replace(b"urls", b"url"))
    return [desk.image(), "--settings", desk.settings]


def _no_room_for_settings(desk: Desk) -> list[object]:
    data = IMAGE.replace("VEDETTE".encode("utf-16-le"), "SETTING".encode("utf-16-le"))
    return [desk.image(data), "--no-sum", "--settings", desk.settings]


@pytest.mark.parametrize(
    "attack",
    [
        _other,
        _unlisted,
        _no_sums,
        _another_sum,
        _no_disk_image,
        _broken_table,
        _cut_raw,
        _no_settings,
        _used,
        _misspelt,
        _no_room_for_settings,
    ],
)
def test_what_cannot_be_used_is_refused_before_the_first_byte(
    desk: Desk, attack: Callable[[Desk], list[object]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert desk.flash(*attack(desk), "--disk", "sdb", "--yes") == 2
    assert desk.stick.read_bytes() == OLD
    first, second = capsys.readouterr().err.splitlines()[-2:]
    assert first.startswith("vedette-flash: ")
    assert second.strip(), "what to do"


def test_a_compressed_image_that_ends_early_makes_no_stick(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    data = zstandard.ZstdCompressor(write_content_size=False).compress(IMAGE + os.urandom(100_000))
    assert desk.flash(desk.image(data[:-50_000], "v.raw.zst"), "--disk", "sdb", "--yes") == 2
    assert "write it again" in capsys.readouterr().err
    assert desk.stick.read_bytes()[:MIB] == bytes(MIB)


def test_each_reader_of_zstd_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "two frames"
    path.write_bytes(zstandard.compress(IMAGE) + zstandard.compress(b"second"))
    ways: list[Callable[[], Iterator[bytes]]] = []
    seen: list[bytes] = []
    with path.open("rb", buffering=0) as file:
        ways.append(lambda: zstd_stream._by_zstandard(zstandard, zstd_stream._Told(file, seen.append)))
        ways.append(lambda: zstd_stream._by_program(file, seen.append))
        for way in ways:
            seen.clear()
            file.seek(0)
            assert b"".join(way()) == IMAGE + b"second"
            assert b"".join(seen) == path.read_bytes()


class Failing:
    """os.write that fails once a number of bytes was taken, in a way that media fail."""

    def __init__(self, after: int, code: int) -> None:
        self.left, self.code = after, code
        self.real = os.write

    def __call__(self, fd: int, data: bytes) -> int:
        if not os.path.realpath(f"/proc/self/fd/{fd}").endswith("/dev/sdb"):
            return self.real(fd, data)
        if self.left <= 0:
            raise OSError(self.code, os.strerror(self.code))
        taken = self.real(fd, data[: min(len(data), self.left, 65_537)])
        self.left -= taken
        return taken


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.ENODEV, errno.EROFS])
@pytest.mark.parametrize("after", [MIB // 2, 3 * MIB, len(IMAGE) - 512, len(IMAGE) + MIB + 512])
def test_a_stick_pulled_at_any_moment_is_named_and_never_starts_a_box(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], after: int, code: int
) -> None:
    path = desk.image()
    monkeypatch.setattr(medium_module.os, "write", Failing(after, code))
    assert desk.flash(path, "--disk", "sdb", "--yes", "--settings", desk.settings) == 4
    told = capsys.readouterr().err
    assert "broken off at" in told
    assert "write it again" in told
    assert desk.stick.read_bytes()[512:520] != b"EFI PART"


def test_short_writes_are_gone_on_with(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    path = desk.image()
    monkeypatch.setattr(medium_module.os, "write", Failing(1 << 40, errno.EIO))
    assert desk.flash(path, "--disk", "sdb", "--yes") == 0
    assert desk.stick.read_bytes()[: len(IMAGE)] == IMAGE


def test_a_stick_with_a_false_size_is_found_out(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such sticks take every write and keep the first part."""
    path = desk.image()
    real = medium_module.Medium.write

    def write(self: medium_module.Medium, offset: int, data: bytes) -> None:
        if offset < 8 * MIB:
            real(self, offset, data)

    monkeypatch.setattr(medium_module.Medium, "write", write)
    assert desk.flash(path, "--disk", "sdb", "--yes") == 1
    assert "its size is false" in capsys.readouterr().err
    assert desk.stick.read_bytes()[:MIB] == bytes(MIB)


def test_an_image_that_changes_while_it_is_written_makes_no_stick(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = desk.image()
    real = medium_module.Medium.sync

    def sync(self: medium_module.Medium) -> None:
        path.write_bytes(IMAGE[: 3 * MIB] + b"\0" + IMAGE[3 * MIB + 1 :])
        real(self)

    monkeypatch.setattr(medium_module.Medium, "sync", sync)
    assert desk.flash(path, "--disk", "sdb", "--yes") == 2
    assert "changed while it was read" in capsys.readouterr().err
    assert desk.stick.read_bytes()[:MIB] == bytes(MIB)


@pytest.mark.parametrize(
    ("at", "where"), [(100, "the partition table"), (MIB, "partition ESP"), (3 * MIB, "partition vedette_1.0")]
)
def test_a_stick_that_was_changed_is_told_with_the_place(
    desk: Desk, capsys: pytest.CaptureFixture[str], at: int, where: str
) -> None:
    path = desk.image()
    assert desk.flash(path, "--disk", "sdb", "--yes") == 0
    with desk.stick.open("r+b") as file:
        file.seek(at)
        file.write(b"\x99")
    assert desk.flash(path, "--disk", "sdb", "--verify-only") == 1
    assert f"at byte {at} ({where})" in capsys.readouterr().err


def test_another_stick_under_the_same_name_is_not_written(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    path = desk.image()

    class Swapped(Linux):
        asked = False

        def disks(self) -> list:  # type: ignore[type-arg]
            if Swapped.asked:
                (desk.root / "sys/block/sdb").resolve().joinpath("device/model").write_text("Other", encoding="ascii")
            Swapped.asked = True
            return super().disks()

    swapped = Swapped(desk.linux.sys, desk.linux.proc, desk.linux.udev, desk.linux.dev)
    assert main([str(path), "--disk", "sdb", "--yes"], swapped) == 2
    assert desk.stick.read_bytes() == OLD


def test_control_c_in_the_middle_says_what_the_stick_is(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = desk.image()
    real = medium_module.Medium.write

    def write(self: medium_module.Medium, offset: int, data: bytes) -> None:
        if 3 * MIB < offset < len(IMAGE):
            raise KeyboardInterrupt
        real(self, offset, data)

    monkeypatch.setattr(medium_module.Medium, "write", write)
    assert desk.flash(path, "--disk", "sdb", "--yes") == 130
    assert "broken off at write: the stick has no partition table" in capsys.readouterr().err
    assert desk.stick.read_bytes()[:MIB] == bytes(MIB)


@pytest.mark.parametrize(("code", "written"), [(0, True), (32, False)])
def test_what_the_desktop_has_mounted_is_let_go_of_first(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int, written: bool
) -> None:
    path = desk.image()
    mounts = "36 29 8:17 / /media/me/MY\\040PICTURES rw - vfat /dev/sdb1 rw\n"
    (desk.root / "proc/self/mountinfo").write_text(mounts, encoding="ascii")
    umount = tmp_path / "bin" / "umount"
    umount.parent.mkdir()
    umount.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/asked\nexit {code}\n', encoding="ascii")
    umount.chmod(0o755)
    monkeypatch.setenv("PATH", f"{umount.parent}:/usr/bin:/bin")
    assert desk.flash(path, "--disk", "sdb", "--yes") == (0 if written else 4)
    assert (tmp_path / "asked").read_text(encoding="ascii") == "/media/me/MY PICTURES\n"
    assert (desk.stick.read_bytes() == OLD) is not written


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--disk", "sdb1"], "a partition came"),
        (["--disk", "sdz"], "no such disk; there are sdb"),
        (["--yes"], "--yes came without --disk"),
    ],
)
def test_a_disk_that_is_none_is_told_with_what_there_is(
    desk: Desk, capsys: pytest.CaptureFixture[str], argv: list[str], says: str
) -> None:
    assert desk.flash(desk.image(), *argv) == 2
    assert says in capsys.readouterr().err
    assert desk.stick.read_bytes() == OLD


def test_of_two_sticks_none_is_chosen(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    machine(desk.root, "sdc", STICK_BYTES, number="8:32", model="Other")
    assert desk.flash(desk.image()) == 2
    told = capsys.readouterr().err
    assert "Sample Stick" in told
    assert "Other" in told


def test_the_single_file_runs_alone_and_is_made_the_same_twice(tmp_path: Path) -> None:
    one, two = tmp_path / "one.pyz", tmp_path / "two.pyz"
    pyz.make(one)
    pyz.make(two)
    assert one.read_bytes() == two.read_bytes()
    out = subprocess.run(
        [sys.executable, "-I", str(one), "--list", "--all", "--json"],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    assert "disks" in json.loads(out.stdout)
