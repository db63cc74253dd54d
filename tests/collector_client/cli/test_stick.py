"""`token new --stick` writes what a box reads, or nothing; tokens are listed with who made, used and took them back."""

from __future__ import annotations

import errno
import getpass
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.wire.setup_file import SETUP_NAME, Setup, parse_setup
from appliance.wire.setup_render import with_remark
from appliance.wire.setup_values import Network
from collector_client.cli import main

Run = Callable[..., tuple[int, str, str]]
EK = "0123456789abcdef" * 4
PLACE = ("--tenant", "acme", "--site", "north")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command: its exit code, standard output and standard error."""

    def go(*argv: object) -> tuple[int, str, str]:
        code = main([str(word) for word in argv])
        return (code, *capsys.readouterr())

    return go


@pytest.fixture
def home(run: Run, tmp_path: Path) -> Path:
    """A collector's folder; nothing runs."""
    names = ("--name", "localhost", "--name", "collector.example.net", "--name", "192.0.2.9")
    assert run("init", tmp_path / "home", *names, "--port", "8443")[0] == 0
    return tmp_path / "home"


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    (tmp_path / "stick").mkdir()
    return tmp_path / "stick"


def tokens(run: Run, home: Path) -> list[dict[str, str | None]]:
    return list(json.loads(run("token", "list", home, "--json")[1]))


def read(stick: Path) -> Setup:
    return parse_setup((stick / SETUP_NAME).read_bytes())


def test_the_file_holds_what_was_asked_for_and_the_screen_not_the_secret(run: Run, home: Path, stick: Path) -> None:
    network = ("--address", "192.0.2.5/24", "--gateway", "192.0.2.1", "--dns", "192.0.2.53", "--dns", "2001:db8::53")
    network = (*network, "--ntp", "192.0.2.123")
    rest = ("--interface-mac", "52-54-00-AA-BB-0C", "--proxy", "http://u:p%40@proxy:3128", "--capture", "enp2s0")
    code, out, err = run("token", "new", home, *PLACE, "--stick", stick, *network, *rest, "--install", "unattended")
    assert code == 0
    assert "put it into the box" in err
    setup = read(stick)
    assert setup.token is not None
    assert setup.token.secret not in out + err
    assert setup.urls == ("https://collector.example.net:8443", "https://192.0.2.9:8443")
    assert (setup.tenant, setup.site, setup.install) == ("acme", "north", "unattended")
    dns = ("192.0.2.53", "2001:db8::53")
    assert setup.network == Network("192.0.2.5/24", "192.0.2.1", dns, "52:54:00:aa:bb:0c", ("192.0.2.123",))
    assert (setup.proxy, setup.interfaces) == ("http://u:p%40@proxy:3128", ("enp2s0",))
    assert [row["token_id"] for row in tokens(run, home)] == [setup.token_id]
    data = (stick / SETUP_NAME).read_bytes()
    assert data.count(b"\r\n") == data.count(b"\n") > 20
    assert re.search(rb"# The token works until \d{4}-\d\d-\d\d \d\d:\d\d UTC\.\r\ntoken = ", data)
    assert [path.name for path in stick.iterdir()] == [SETUP_NAME]


REFUSED = [
    (("--address", "192.0.2.5"), "ADDRESS/PREFIX was allowed"),
    (("--address", "192.0.2.5/24"), "an address without interface_mac"),
    (("--gateway", "192.0.2.1"), "a gateway without an address"),
    (("--proxy", "socks5://secret@p"), "[collector] proxy: another form came"),
    (("--interface-mac", "01:00:5e:00:00:01"), "a MAC address was allowed"),
    (("--url", "http://collector.example.net"), "https://HOST[:PORT] was allowed"),
    (("--url", "https://other.example.net"), "is not in [collector] names"),
    (("--capture", "no/such"), "an interface's name was allowed"),
    (("--ek", "abc"), "64 hexadecimal digits"),
    (("--key", "abc"), "key 'abc' came, 64 hexadecimal digits"),
    (("--key", "ab" * 32, "--ek", "ab" * 32), "--key came with --ek"),
]


@pytest.mark.parametrize(("words", "told"), REFUSED, ids=[told for _, told in REFUSED])
def test_what_a_box_would_refuse_makes_neither_token_nor_file(
    run: Run, home: Path, stick: Path, words: tuple[str, ...], told: str
) -> None:
    code, _, err = run("token", "new", home, *PLACE, "--stick", stick, *words)
    assert code == 2
    assert told in err
    assert "secret" not in err
    assert tokens(run, home) == []
    assert list(stick.iterdir()) == []


def test_what_is_no_folder_or_holds_an_unused_file_is_refused(run: Run, home: Path, stick: Path) -> None:
    (stick / "f").touch()
    for folder, told in ((stick / "f", "a file came"), (stick / "none", "nothing came")):
        code, _, err = run("token", "new", home, *PLACE, "--stick", folder)
        assert (code, told in err) == (2, True)
    assert run("token", "new", home, *PLACE, "--stick", stick)[0] == 0
    before = (stick / SETUP_NAME).read_bytes()
    code, _, err = run("token", "new", home, *PLACE, "--stick", stick)
    assert (code, "no box has used it" in err) == (2, True)
    assert (stick / SETUP_NAME).read_bytes() == before
    assert len(tokens(run, home)) == 1


def test_a_used_file_gives_way_to_a_new_one(run: Run, home: Path, stick: Path) -> None:
    run("token", "new", home, *PLACE, "--stick", stick)
    first = read(stick)
    text = (stick / SETUP_NAME).read_bytes().decode()
    (stick / SETUP_NAME).write_bytes(with_remark(text, "s-" + "a" * 20, "2026-11-24T12:00:00Z").encode())
    assert run("token", "new", home, *PLACE, "--stick", stick)[0] == 0
    assert read(stick).token_id != first.token_id


def test_a_link_in_the_files_place_is_not_followed(run: Run, home: Path, stick: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (stick / SETUP_NAME).symlink_to(tmp_path / "precious")
    code, _, err = run("token", "new", home, *PLACE, "--stick", stick)
    assert (code, "something that is no file" in err) == (2, True)
    assert (tmp_path / "precious").read_text() == "precious"


def test_values_for_a_stick_without_one_are_refused(run: Run, home: Path) -> None:
    code, _, err = run("token", "new", home, *PLACE, "--interface-mac", "52:54:00:00:00:01")
    assert (code, "--interface-mac came without --stick" in err) == (2, True)
    assert tokens(run, home) == []


FULL = 'mount -t tmpfs -o size=4k none "$0" && head -c 4096 /dev/zero > "$0/ballast" && exec "$@"'


@pytest.mark.root
def test_a_full_stick_leaves_no_open_token(run: Run, home: Path, stick: Path) -> None:
    command = [sys.executable, "-m", "collector_client", "token", "new", str(home), *PLACE, "--stick", str(stick)]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", FULL, str(stick), *command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 4, done.stderr
    assert os.strerror(errno.ENOSPC) in done.stderr
    (row,) = tokens(run, home)
    assert (row["state"], row["revoked_by"]) == ("revoked", row["made_by"])


def test_tokens_are_listed_with_who_made_them_and_for_which_tpm(run: Run, home: Path) -> None:
    assert run("token", "new", home, *PLACE, "--ek", EK.upper(), "--by", "ann")[0] == 0
    (row,) = tokens(run, home)
    assert (row["made_by"], row["ek_sha256"], row["state"]) == ("ann", EK, "open")
    table = run("token", "list", home)[1]
    assert "ann" in table
    assert EK[:16] in table
    run("token", "new", home, *PLACE)
    assert tokens(run, home)[0]["made_by"] in (getpass.getuser(), os.environ.get("SUDO_USER", "root"))


def test_a_token_for_a_key_in_a_secure_element_says_so(run: Run, home: Path) -> None:
    assert run("token", "new", home, *PLACE, "--key", ":".join(EK[at : at + 2] for at in range(0, 64, 2)))[0] == 0
    (row,) = tokens(run, home)
    assert (row["key_sha256"], row["ek_sha256"]) == (EK, None)
    assert EK[:16] in run("token", "list", home)[1]


def test_a_token_is_taken_back_once_and_a_used_or_unknown_one_is_not(run: Run, home: Path) -> None:
    run("token", "new", home, *PLACE)
    token_id = tokens(run, home)[0]["token_id"]
    assert run("token", "revoke", home, token_id, "--by", "ben", "--reason", "lost")[0] == 0
    assert run("token", "revoke", home, token_id, "--by", "ann")[0] == 0
    (row,) = tokens(run, home)
    assert (row["state"], row["revoked_by"]) == ("revoked", "ben")
    code, _, err = run("token", "revoke", home, "t-none")
    assert (code != 0, "no such token" in err) == (True, True)
