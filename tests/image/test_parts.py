"""Parts of the build that read what others write: ELF listings, dpkg's status, capture files, a console."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image import ear
from image.__main__ import main
from image.elf import parse
from image.errors import DrillError, InputError
from image.frames import frames
from image.keys import Keys
from image.lives import written_past
from image.machine import clean
from image.sbom import bill, parse_status
from image.standstill import chosen

READELF = """
File: /r/usr/bin/a
      [Requesting program interpreter: /lib64/ld-linux-x86-64.so.2]
 0x0000000000000001 (NEEDED)             Shared library: [libc.so.6]

File: /r/usr/bin/b
 0x0000000000000001 (NEEDED)             Shared library: [libz.so.1]
"""

STATUS = """\
Package: zlib1g
Status: install ok installed
Architecture: amd64
Source: zlib (1:1.3)
Version: 1:1.3.dfsg+b1
Description: compression
 Status: deinstall ok config-files

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: base-files
Status: install ok installed
Architecture: amd64
Version: 13.8
"""


def test_every_file_has_its_own_libraries() -> None:
    a, b = Path("/r/usr/bin/a"), Path("/r/usr/bin/b")
    assert parse(READELF, [a, b]) == {a: ["/lib64/ld-linux-x86-64.so.2", "libc.so.6"], b: ["libz.so.1"]}


def test_one_file_alone_is_not_named_and_still_has_its_libraries() -> None:
    (a,) = [Path("/r/a")]
    assert parse(" 0x1 (NEEDED)  Shared library: [libc.so.6]\n", [a]) == {a: ["libc.so.6"]}


def test_the_bill_lists_what_is_installed_and_only_that() -> None:
    found = parse_status(STATUS)
    assert [(p.name, p.source) for p in found] == [("base-files", "base-files"), ("zlib1g", "zlib")]
    document = bill(found, [], version="1", epoch=0)
    assert document["components"][1]["purl"] == "pkg:deb/debian/zlib1g@1%3A1.3.dfsg%2Bb1?arch=amd64&distro=debian-13"
    assert document == bill(parse_status(STATUS), [], version="1", epoch=0)
    assert document["serialNumber"] != bill(found[:1], [], version="1", epoch=0)["serialNumber"]


def capture_file(*packets: bytes, order: str = "<", link_type: int = 1) -> bytes:
    header = struct.pack(order + "IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link_type)
    return header + b"".join(struct.pack(order + "IIII", 0, 0, len(p), len(p)) + p for p in packets)


@pytest.mark.parametrize("order", ["<", ">"])
def test_frames_come_out_as_they_were_recorded(order: str) -> None:
    assert list(frames(capture_file(b"one", b"", b"three", order=order))) == [b"one", b"", b"three"]


@pytest.mark.parametrize(
    "data", [b"", b"\x0a\x0d\x0d\x0a" + bytes(40), capture_file(b"x", link_type=113), capture_file(b"abc")[:-1]]
)
def test_another_format_or_a_cut_is_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        list(frames(data))


@given(st.binary(max_size=200))
def test_any_bytes_after_a_header_are_frames_or_a_named_error(tail: bytes) -> None:
    data = capture_file() + tail
    with contextlib.suppress(InputError):
        assert sum(len(frame) + 16 for frame in frames(data)) == len(tail)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"\x1b[0m\x1b[31mVEDETTE healthy\r", "VEDETTE healthy"),
        (b"\x1b[!p\x1b]104\x07\x1b[?7h[   84.49] x", "[   84.49] x"),
        (b"\x1b]104\x1b\\a\x00b\xff", "ab\ufffd"),
        (b"\x1b(Bplain", "plain"),
    ],
)
def test_a_console_line_loses_what_moves_the_cursor_and_nothing_else(line: bytes, text: str) -> None:
    assert clean(line) == text


def test_a_key_in_a_token_is_taken_by_its_uri_and_a_missing_one_is_named(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    with pytest.raises(InputError, match=r"PK\.key, KEK\.key, db\.key, pcr\.key"):
        keys.check()
    keys.private("db").write_text("PEM", encoding="ascii")
    assert keys.signer("db") == (str(tmp_path / "db.key"), False)
    keys.uri("db").write_text("pkcs11:object=db\n", encoding="ascii")
    assert keys.signer("db") == ("pkcs11:object=db", True)
    (tmp_path / "pkcs11-module").write_text("/usr/lib/x.so\n", encoding="ascii")
    assert keys.environment() == {"PKCS11_MODULE_PATH": "/usr/lib/x.so"}
    keys.uri("pcr").write_text("pkcs11:object=pcr\n", encoding="ascii")
    with pytest.raises(InputError, match=r"pcr\.crt"):
        keys.check()


@pytest.mark.parametrize(
    ("names", "version"),
    [
        (["::/EFI/Linux/vedette_0.1.0.efi"], "0.1.0"),
        (["vedette_0.1.0+3-0.efi", "vedette_0.1.1+3-0.efi"], "0.1.1"),
        (["vedette_0.1.0+3-0.efi", "vedette_0.1.1+0-3.efi"], "0.1.0"),
        (["vedette_0.1.9+1-2.efi", "vedette_0.1.10+2-1.efi", "vedette_0.1.11+3-0.efi.new"], "0.1.10"),
        (["vedette_0.1.0.efi", "vedette_0.1.1+0-10000.efi", "other.efi"], "0.1.0"),
    ],
)
def test_a_disk_that_stands_still_starts_what_the_boot_loader_would_choose(names: list[str], version: str) -> None:
    assert chosen(names)[0] == version


def test_an_esp_without_a_kernel_file_of_ours_starts_nothing() -> None:
    with pytest.raises(DrillError):
        chosen(["other.efi", "vedette_0.1.0.efi.new"])


def test_an_esp_without_any_tries_left_starts_the_recovery_system_and_no_version() -> None:
    with pytest.raises(DrillError, match="recovery system"):
        chosen(["vedette_0.1.0+0-3.efi", "vedette_0.1.1+0-0.efi"])


def test_a_first_boots_first_write_is_seen_behind_the_image(tmp_path: Path) -> None:
    disk = tmp_path / "disk.raw"
    with disk.open("wb") as file:
        file.write(b"x" * 65536)
        file.truncate(1 << 24)
    assert not written_past(disk, 65536)
    with disk.open("r+b") as file:
        file.seek(1 << 23)
        file.write(b"LUKS")
    assert written_past(disk, 65536)


def test_a_box_that_does_not_listen_is_one_named_error(tmp_path: Path) -> None:
    with pytest.raises(DrillError, match="drill"):
        ear.ask(tmp_path / "drill.sock", "true", timeout_s=1)


@pytest.mark.parametrize(("answer", "said"), [('{"code": 0, "said": "x"}', "x"), ('{"code": 3, "said": "no"}', None)])
def test_what_a_program_in_the_box_said_is_heard_and_its_failure_too(
    tmp_path: Path, answer: str, said: str | None
) -> None:
    path = tmp_path / "drill.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def box() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer.encode() + b"\n")

        thread = threading.Thread(target=box)
        thread.start()
        try:
            if said is None:
                with pytest.raises(DrillError, match="exit 3, 0 was allowed"):
                    ear.ask(path, "true", timeout_s=5)
            else:
                assert ear.ask(path, "true", timeout_s=5) == said
        finally:
            thread.join()


def test_a_folder_that_the_builds_programs_do_not_see_is_refused_before_they_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "out"), "build"]) == 2
    assert f"--out {tmp_path / 'out'} came" in capsys.readouterr().err
    assert not (tmp_path / "cache").exists()
