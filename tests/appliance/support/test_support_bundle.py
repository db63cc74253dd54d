"""The bundle of a box full of secrets has none; that of a broken box is made all the same, in time and bounded."""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import sys
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance.cli.main import main
from appliance.errors import EnvironmentFault
from appliance.support import __main__ as alone
from appliance.support import bundle_of, pieces, write_bundle
from appliance.support.bundle import make_bundle
from appliance.support.command import Output, run
from appliance.support.pieces import MOST_BYTES, Piece, box_pieces
from appliance.support.sanitise import Sanitiser

NOW = datetime(2026, 11, 24, 12, 15, tzinfo=UTC)
KEY = bytes(range(32))
CANARY = "canaryCANARY7"
TOKEN = f"t-abcdefghijkl.{CANARY}{'x' * 30}"
PROXY_PASSWORD = f"prox{CANARY}"
ADDRESS = "198.51.100.77"


def files_of(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        return {info.name.partition("/")[2]: (archive.extractfile(info) or io.BytesIO()).read() for info in archive}


class Box:
    """A state folder and a configuration with a secret in every place that has one, and programs that tell them."""

    def __init__(self, root: Path) -> None:
        self.state = root / "state"
        self.config = root / "vedette.toml"
        self.programs = root / "bin"
        for folder in (self.state / "identity/pair-1", self.state / "spool", self.programs):
            folder.mkdir(parents=True)
        token_file = root / "token"
        token_file.write_text(f"t-zzzzzzzzzzzz.{CANARY}file\n", encoding="ascii")
        self.config.write_text(
            f'[sensor]\nstate_dir = "{self.state}"\n'
            f'[collector]\nurls = ["https://127.0.0.1:9"]\ntoken = "{TOKEN}"\n# the old password was {CANARY}\n'
            f'proxy = "http://me:{PROXY_PASSWORD}@127.0.0.1:9"  # {CANARY}\n'
            f'[identity]\nkey_store = "software"\n[capture]\ninterfaces = ["lo"]\n[rules]\nhome_net = "{ADDRESS}"\n',
            encoding="ascii",
        )
        (self.state / "setup.toml").write_text(f'[collector]\ntoken = "{TOKEN}"\n', encoding="ascii")
        key = f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----\n"
        certificate = "-----BEGIN CERTIFICATE-----\nTUlJQg==\n-----END CERTIFICATE-----\n"
        for folder in (self.state / "identity", self.state / "identity/pair-1"):
            (folder / "key.pem").write_text(key, encoding="ascii")
            (folder / "cert.pem").write_text(key + certificate, encoding="ascii")
        (self.state / "spool/00000001.seg").write_text(f"payload {CANARY}", encoding="ascii")
        (self.state / "pseudonym.key").write_text(CANARY, encoding="ascii")
        said = "\n".join(
            [
                f"token {TOKEN} used, or only {TOKEN.partition('.')[2]}",
                f"token file t-zzzzzzzzzzzz.{CANARY}file",
                f"CONNECT through http://me:{PROXY_PASSWORD}@{ADDRESS}:3128",
                f"password is {PROXY_PASSWORD}",
                f"Authorization: Basic {CANARY}",
                key,
                f"peer {ADDRESS} link 02:42:ac:11:00:02",
            ]
        )
        (root / "said").write_text(said, encoding="ascii")
        for name in ("journalctl", "systemctl", "dmesg", "ip", "lsblk", "df", "ps", "bootctl", "resolvectl"):
            self.program(name, f"cat '{root / 'said'}'")

    def program(self, name: str, script: str) -> None:
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="ascii")
        path.chmod(0o755)


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    made = Box(tmp_path)
    monkeypatch.setenv("PATH", f"{made.programs}:/usr/bin:/bin")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    return made


def test_no_planted_secret_is_in_the_bundle(box: Box) -> None:
    made = bundle_of(box.config, key=KEY, now=NOW)
    files = files_of(made.data)
    assert {"journal/vedette.txt", "config/vedette.toml", "files.txt", "doctor.json"} <= files.keys()
    assert b"abcdefghijkl" in files["journal/vedette.txt"], "the line is there"
    assert b"00000001.seg" in files["files.txt"], "names are"
    for name, data in files.items():
        assert CANARY.encode() not in data, name
        assert ADDRESS.encode() not in data, name
        assert b"ac:11:00:02" not in data, name


def test_addresses_stay_when_asked_and_secrets_do_not(box: Box) -> None:
    files = files_of(bundle_of(box.config, key=KEY, now=NOW, keep_addresses=True).data)
    assert ADDRESS.encode() in files["journal/vedette.txt"]
    assert json.loads(files["manifest.json"])["addresses"] == "kept"
    assert not [name for name, data in files.items() if CANARY.encode() in data]


def test_one_address_is_one_pseudonym_in_all_files(box: Box) -> None:
    files = files_of(bundle_of(box.config, key=KEY, now=NOW).data)
    hidden = Sanitiser((), KEY)(ADDRESS).encode()
    assert hidden in files["journal/vedette.txt"]
    assert hidden in files["config/vedette.toml"]


def test_of_certificates_the_public_part_is_taken_and_no_key(box: Box) -> None:
    found = files_of(bundle_of(box.config, key=KEY, now=NOW).data)["certificates.pem"]
    assert found.count(b"BEGIN CERTIFICATE") == 2
    assert b"PRIVATE" not in found


def test_of_a_folder_the_newest_files_come_first_and_the_rest_is_cut(tmp_path: Path) -> None:
    for number, text in enumerate(("old " * 100, "new")):
        (tmp_path / text[:3]).write_text(text, encoding="ascii")
        os.utime(tmp_path / text[:3], (number, number))
    (tmp_path / "link").symlink_to("/etc/passwd")
    output = pieces._folder(tmp_path, 50)
    assert output.cut
    assert output.data.startswith(b"== new\nnew\n== old\nold ")
    assert len(output.data) == 50
    assert pieces._folder(tmp_path / "none", 50).error


def test_a_link_in_the_sensors_folder_shows_nobody_elses_file(box: Box, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("somebody else's\n", encoding="ascii")
    (box.state / "setup.toml").unlink()
    (box.state / "setup.toml").symlink_to(tmp_path / "other")
    made = bundle_of(box.config, key=KEY, now=NOW)
    assert "config/setup.toml" in dict(made.missing)
    assert not [name for name, data in files_of(made.data).items() if b"somebody else's" in data]


def test_the_manifest_says_of_every_piece_what_it_is(box: Box) -> None:
    files = files_of(bundle_of(box.config, key=KEY, now=NOW).data)
    manifest = json.loads(files.pop("manifest.json"))
    rows = {row["name"]: row for row in manifest["pieces"]}
    assert manifest["made_at"] == "2026-11-24T12:15:00Z"
    for name, data in files.items():
        assert rows[name]["sha256"] == hashlib.sha256(data).hexdigest()
        assert rows[name]["size_bytes"] == len(data)


def no_config(box: Box) -> None:
    box.config.unlink()


def no_toml(box: Box) -> None:
    box.config.write_text(box.config.read_text(encoding="ascii") + "[[[", encoding="ascii")


def no_programs(box: Box) -> None:
    for path in box.programs.iterdir():
        path.write_text("no program at all", encoding="ascii")


def failing_programs(box: Box) -> None:
    for path in list(box.programs.iterdir()):
        box.program(path.name, "echo half; exit 9")


def state_is_a_file(box: Box) -> None:
    os.rename(box.state, box.state.with_name("gone"))
    box.state.write_text("x", encoding="ascii")


def rubbish(box: Box) -> None:
    for path in list(box.programs.iterdir()):
        box.program(path.name, "head -c 20000 /dev/urandom")
    box.config.write_bytes(os.urandom(1000))


@pytest.mark.parametrize("breakage", [no_config, no_toml, no_programs, failing_programs, state_is_a_file, rubbish])
def test_a_broken_box_gives_a_bundle_that_says_what_is_broken(box: Box, breakage: Callable[[Box], None]) -> None:
    breakage(box)
    made = bundle_of(box.config, key=KEY, now=NOW)
    files = files_of(made.data)
    manifest = json.loads(files["manifest.json"])
    assert made.missing or breakage is rubbish
    assert [row for row in manifest["pieces"] if row["error"]]
    assert "versions.json" in files
    # Without its configuration a box knows its secrets by their looks alone, and a bare word has none.
    if breakage is not no_config:
        assert not [name for name, data in files.items() if CANARY.encode() in data]


def test_a_program_that_hangs_is_ended_and_its_children_too(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "alive")
    reader = os.open(tmp_path / "alive", os.O_RDONLY | os.O_NONBLOCK)
    script = f"sleep 1000 > {tmp_path}/alive & echo begun; wait"
    assert run(["sh", "-c", script], limit_s=1, most_bytes=100) == Output(b"begun\n", error="stopped after 1 s")
    os.set_blocking(reader, True)
    assert os.read(reader, 1) == b"", "the end comes when nobody has it open for writing any more"
    os.close(reader)


def test_a_program_that_floods_is_cut() -> None:
    assert run(["sh", "-c", "yes | head -c 5000000"], limit_s=60, most_bytes=1000).cut
    tail = run(["sh", "-c", "yes | head -c 5000000; echo end"], limit_s=60, most_bytes=1000, tail=True)
    assert tail.cut
    assert tail.data.endswith(b"y\nend\n")
    assert len(tail.data) == 1000


def test_a_piece_that_hangs_in_the_kernel_or_breaks_is_a_line_in_the_manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    monkeypatch.setattr("appliance.support.bundle.GRACE_S", 0.1)

    def hang() -> Output:
        return Output(os.read(reader, 1))

    def broken() -> Output:
        raise RuntimeError(f"at {ADDRESS}")

    broken_ones = [Piece("hang", "x", 10, 0.1, hang), Piece("broken", "x", 10, 5, broken)]
    made = make_bundle(broken_ones, Sanitiser((), KEY), now=NOW, addresses="")
    os.close(writer)
    assert [name for name, _ in made.missing] == ["hang", "broken"]
    assert ADDRESS not in made.missing[1][1]


def test_no_bundle_can_be_larger_than_20_mb(tmp_path: Path) -> None:
    table = box_pieces(tmp_path / "c.toml", tmp_path)
    assert sum(piece.most_bytes for piece in table) <= MOST_BYTES
    assert len({piece.name for piece in table}) == len(table)
    full = [
        Piece(piece.name, "", piece.most_bytes, 60, lambda most=piece.most_bytes: Output(os.urandom(most)), public=True)  # type: ignore[misc]
        for piece in table
    ]
    assert len(make_bundle(full, Sanitiser((), KEY), now=NOW, addresses="").data) <= 20_000_000


def test_the_command_writes_one_private_file_and_tells_of_it(
    box: Box, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["support-bundle", "--config", str(box.config), "--output", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    path = Path(told["file"])
    assert hashlib.sha256(path.read_bytes()).hexdigest() == told["sha256"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert told["pieces"] == len(files_of(path.read_bytes())) - 1


def test_a_place_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    made = make_bundle([], Sanitiser((), KEY), now=NOW, addresses="")
    with pytest.raises(EnvironmentFault):
        write_bundle(made, tmp_path / "no" / "such" / "folder")
    (tmp_path / "link.new").symlink_to("/dev/full")
    write_bundle(made, tmp_path / "link")
    assert (tmp_path / "link").read_bytes() == made.data
    with pytest.raises(EnvironmentFault):
        write_bundle(made, Path("/proc/self/bundle"))


def test_it_is_made_where_vedette_itself_does_not_start(box: Box, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['vedette_engine'] = None; sys.modules['tpm2_pytss'] = None;"
        "from appliance.support.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    output = run([sys.executable, "-c", code, str(box.config), str(tmp_path)], limit_s=90, most_bytes=10_000)
    assert output.error == "", output.data
    assert Path(output.data.decode().strip()).exists()


def test_defaults_of_the_short_way(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[Path] = []
    monkeypatch.setattr(alone, "bundle_of", lambda config, **_: asked.append(config))
    monkeypatch.setattr(alone, "write_bundle", lambda _, target: asked.append(target))
    assert alone.main([]) == 0
    assert alone.main(["a.toml"]) == 0
    assert asked == [Path("/etc/vedette/vedette.toml"), Path(), Path("a.toml"), Path()]
