"""The README's worked examples of the certificate authority are typed as they stand there, one after another."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from collector_client.cli import main
from collector_client.config import CONFIG_NAME
from tests.fakes import softhsm

README = Path(__file__).parents[3] / "collector_client" / "README.md"
EXAMPLE = re.compile(r"<!-- worked: ([^\n]+) -->\n(.*?)<!-- end -->", re.DOTALL)
FENCE = re.compile(r"```(\w+)\n(.*?)```\n", re.DOTALL)
COLLECTOR = "/var/lib/vedette-collector"
NAMES = ["offline root", "issuing key in a token", "another root"]

pytestmark = pytest.mark.softhsm


def columns(table: str) -> list[list[str]]:
    """Name, state, key and what is under what: the words of `ca show` that do not depend on the day."""
    rows = [re.split(r"\s(?=\d{4}-\d\d-\d\d)", line) for line in table.splitlines()[1:]]
    return [[*row[0].split(), row[1].split()[3]] for row in rows]


def test_each_worked_example_does_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("media/stick", "media/new-stick", "var/lib", "etc/vedette"):
        (tmp_path / folder).mkdir(parents=True, mode=0o700)
    found = dict(EXAMPLE.findall(README.read_text(encoding="utf-8")))
    assert list(found) == NAMES
    for name in NAMES:
        shown = ""
        for kind, text in FENCE.findall(found[name]):
            if kind == "toml":
                configure(tmp_path, text)
            for line in text.splitlines() if kind == "sh" else ():
                shown = typed(line, tmp_path, capsys) or shown
            if kind == "text":
                last = ["ca", "show", str(tmp_path / COLLECTOR[1:])]
                assert main(last) == 0
                now = capsys.readouterr().out
                assert columns(text) in (columns(shown), columns(now)), name


def typed(line: str, place: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What a line prints, if it is a table of authorities; paths are under `place`."""
    words = [str(place / word[1:]) if word.startswith("/") else word for word in shlex.split(line, comments=True)]
    if words[0] == "softhsm2-util":
        softhsm.make_token(words[words.index("--label") + 1])
    elif words[0] == "install":
        pin = Path(words[-1])
        pin.write_text(f"{softhsm.PIN}\n", encoding="ascii")
        pin.chmod(0o600)
    else:
        assert words[0] == "vedette-collector"
        code = main(words[1:])
        said = capsys.readouterr()
        assert code == 0, line + said.err
        return said.out if "show" in words else ""
    return ""


def configure(place: Path, section: str) -> None:
    """Put the lines into the configuration where `init` has them as comments."""
    path = place / COLLECTOR[1:] / CONFIG_NAME
    text = path.read_text(encoding="utf-8")
    for line in section.splitlines()[1:]:
        key = line.partition(" = ")[0]
        line = line.replace("/etc/", f"{place}/etc/").replace("/usr/lib/softhsm/libsofthsm2.so", softhsm.module())
        text, count = re.subn(rf"# {key} = .*", lambda _, line=line: line, text)
        assert count == 1, key
    path.write_text(text, encoding="utf-8")
