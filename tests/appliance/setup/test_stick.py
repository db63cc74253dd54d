"""The stick is a stranger's: whatever is on it, or is not, ends in the file's content or in one named error."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.errors import ApplianceError
from appliance.setup import (
    NoSetupFileError,
    NotThatFileError,
    SetupFileInvalidError,
    SeveralSetupFilesError,
    StickChangedError,
    StickGoneError,
    read_stick,
)
from appliance.wire.enrollment import EnrollmentToken
from appliance.wire.setup_file import SETUP_NAME, Setup, Used, parse_setup
from appliance.wire.setup_render import render_setup

ROOT = Path(__file__).parents[3]
TOKEN = EnrollmentToken("t-abcdefghijkl", "S" * 40)
SETUP = Setup(("https://collector.example.net",), "ab" * 32, TOKEN.token_id, TOKEN)
DATA = render_setup(SETUP).replace("\n", "\r\n").encode()
SENSOR, AT = "s-" + "a" * 20, "2026-11-24T12:00:00Z"


def whole(folder: Path) -> None:
    (folder / SETUP_NAME).write_bytes(DATA)


def twice(folder: Path) -> None:
    whole(folder)
    (folder / "Vedette-Setup (1).toml").write_bytes(DATA)


def huge(folder: Path) -> None:
    with (folder / SETUP_NAME).open("wb") as file:
        file.truncate(1 << 30)


def link(folder: Path) -> None:
    (folder / "target").write_bytes(DATA)
    (folder / SETUP_NAME).symlink_to(folder / "target")


BAD: list[tuple[str, Callable[[Path], object], type[ApplianceError], str]] = [
    ("empty", lambda _: None, NoSetupFileError, "no vedette-setup.toml"),
    ("in another folder", lambda f: (f / "x").mkdir() or whole(f / "x"), NoSetupFileError, "no vedette-setup.toml"),
    ("two files", twice, SeveralSetupFilesError, "2 setup files came (Vedette-Setup (1).toml, vedette-setup.toml)"),
    ("hidden ending", lambda f: (f / (SETUP_NAME + ".txt")).write_bytes(DATA), NotThatFileError, ".toml.txt came"),
    ("a gigabyte", huge, SetupFileInvalidError, "1073741824 bytes came"),
    ("link", link, NotThatFileError, "a link came, a plain file was allowed"),
    ("link to nothing", lambda f: (f / SETUP_NAME).symlink_to("none"), NotThatFileError, "a link came"),
    ("folder", lambda f: (f / SETUP_NAME).mkdir(), NotThatFileError, "a folder came"),
    ("pipe", lambda f: os.mkfifo(f / SETUP_NAME), NotThatFileError, "something that is no file came"),
    ("nothing in it", lambda f: (f / SETUP_NAME).touch(), SetupFileInvalidError, "[collector] urls: missing"),
    ("UTF-16", lambda f: (f / SETUP_NAME).write_text("a", "utf-16"), SetupFileInvalidError, "UTF-16 or binary"),
    ("a picture", lambda f: (f / SETUP_NAME).write_bytes(b"\x89PNG\r\n\x1a\n"), SetupFileInvalidError, "byte 0x89"),
]


@pytest.mark.parametrize(("make", "kind", "told"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_a_bad_stick_is_named_and_says_what_to_do(
    tmp_path: Path, make: Callable[[Path], object], kind: type[ApplianceError], told: str
) -> None:
    make(tmp_path)
    with pytest.raises(kind) as refusal:
        read_stick(tmp_path)
    assert told in str(refusal.value)
    assert refusal.value.advice
    assert TOKEN.secret not in str(refusal.value)


def test_a_stick_that_is_not_there_or_is_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StickGoneError, match="No such file"):
        read_stick(tmp_path / "none")
    (tmp_path / "f").touch()
    with pytest.raises(NotThatFileError, match="a file came"):
        read_stick(tmp_path / "f")


@pytest.mark.parametrize("name", [SETUP_NAME, SETUP_NAME.upper(), "Vedette-Setup.toml"])
def test_the_file_is_found_in_any_case_beside_what_other_systems_leave(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(DATA)
    for other in ("._" + SETUP_NAME, "System Volume Information", SETUP_NAME + ".new", "autorun.inf"):
        (tmp_path / other).write_bytes(DATA)
    assert read_stick(tmp_path).setup == SETUP


def test_after_use_no_copy_of_the_secret_is_left_and_the_rest_is_as_it_was(tmp_path: Path) -> None:
    remark = f"# the old one was {TOKEN}\r\n".encode()
    (tmp_path / SETUP_NAME).write_bytes(remark + DATA)
    read_stick(tmp_path).mark_used(SENSOR, AT)
    after = (tmp_path / SETUP_NAME).read_bytes()
    assert TOKEN.secret.encode() not in after
    wiped = (remark + DATA).replace(TOKEN.secret.encode(), b"." * 40)
    assert after.startswith(wiped.rstrip())
    assert parse_setup(after).used == Used(SENSOR, AT)
    assert [path.name for path in tmp_path.iterdir()] == [SETUP_NAME]


def test_the_secret_is_overwritten_where_it_stood(tmp_path: Path) -> None:
    """Whoever holds the old file open sees its blocks: a new file alone would leave the secret in them."""
    whole(tmp_path)
    with (tmp_path / SETUP_NAME).open("rb") as before:
        read_stick(tmp_path).mark_used(SENSOR, AT)
        assert TOKEN.secret.encode() not in before.read()


def test_attack_another_file_in_its_place_is_left_alone(tmp_path: Path) -> None:
    whole(tmp_path)
    stick = read_stick(tmp_path)
    other = DATA.replace(b"collector.example", b"elsewhere.example")
    (tmp_path / SETUP_NAME).write_bytes(other)
    with pytest.raises(StickChangedError):
        stick.mark_used(SENSOR, AT)
    assert (tmp_path / SETUP_NAME).read_bytes() == other


@pytest.mark.parametrize("name", [SETUP_NAME, SETUP_NAME + ".new"])
def test_attack_a_link_is_not_written_through(tmp_path: Path, name: str) -> None:
    whole(tmp_path)
    stick = read_stick(tmp_path)
    precious = tmp_path / "precious"
    precious.write_bytes(DATA)
    (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / name).symlink_to(precious)
    if name == SETUP_NAME:
        with pytest.raises(StickGoneError):
            stick.mark_used(SENSOR, AT)
    else:
        stick.mark_used(SENSOR, AT)
    assert precious.read_bytes() == DATA


def test_a_stick_pulled_out_before_the_wiping_is_named(tmp_path: Path) -> None:
    (tmp_path / "stick").mkdir()
    whole(tmp_path / "stick")
    stick = read_stick(tmp_path / "stick")
    (tmp_path / "stick").rename(tmp_path / "gone")
    for act in (stick.check_writable, lambda: stick.mark_used(SENSOR, AT)):
        with pytest.raises(StickGoneError) as fault:
            act()
        assert "put it back" in fault.value.advice


# In a mount namespace of its own: a small medium with the file on it, full or read-only; then what a box would do.
MEDIUM = """\
set -e
mount -t tmpfs -o size="$1" medium "$2"
cp "$3" "$2/vedette-setup.toml"
case "$4" in
  full) head -c 1048576 /dev/zero > "$2/ballast" 2>/dev/null || true ;;
  read-only) mount -o remount,ro "$2" ;;
esac
exec "$5" -c "$6" "$2"
"""
TRY = """
import sys
from pathlib import Path
from appliance.errors import ApplianceError
from appliance.setup import read_stick
stick = read_stick(Path(sys.argv[1]))
for act in (stick.check_writable, lambda: stick.mark_used("s-" + "a" * 20, "2026-11-24T12:00:00Z")):
    try:
        act()
        print("done")
    except ApplianceError as error:
        print(type(error).__name__, bool(error.advice))
print(b"SSSS" in stick.path.read_bytes(), sorted(path.name for path in stick.path.parent.iterdir()))
"""


@pytest.mark.root
@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("fine", ["done", "done", "False ['vedette-setup.toml']"]),
        ("read-only", ["StickReadOnlyError True"] * 2 + ["True ['vedette-setup.toml']"]),
        # The remark finds no room, the secret needs none.
        ("full", ["StickFullError True"] * 2 + ["False ['ballast', 'vedette-setup.toml']"]),
    ],
)
def test_the_medium_is_asked_before_and_named_after(tmp_path: Path, how: str, said: list[str]) -> None:
    whole(tmp_path)
    medium = tmp_path / "medium"
    medium.mkdir()
    done = subprocess.run(
        [
            "unshare",
            "--mount",
            "sh",
            "-c",
            MEDIUM,
            "sh",
            "256k",
            medium,
            tmp_path / SETUP_NAME,
            how,
            sys.executable,
            TRY,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == said
