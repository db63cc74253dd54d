"""A box whose key is in a secure element: state folder, configuration, serial line, the real firmware, a signing chip.

Rules of this file: all that is fake is the chip and the board's pins. Commands run in processes of their own, as a
person's do.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from appliance.config import Config, load_config
from appliance.daemon import ReachedElement, identity_folder
from appliance.identity import IdentityFolder
from appliance.identity.keyfile import write_once
from appliance.mcu.key import FOLDER
from tests.fakes.serial_line import SerialLine
from tests.fakes.signing_element import SigningElement
from tests.fakes.virtual_board import VirtualBoard

ROOT = Path(__file__).parents[2]
KEY = bytes(range(32))


class ElementBox:
    """`with` plugs the line; `chip` is the element, `folder` the disk."""

    def __init__(self, folder: Path, chip: SigningElement | None = None) -> None:
        self.state = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.chip = chip or SigningElement()
        self.board = VirtualBoard(is_paired=True, key=KEY, bus=self.chip)
        self.line = SerialLine(self.board, folder / "port")
        write_once(folder / FOLDER / "link.key", KEY)

    def __enter__(self) -> ElementBox:
        self.line.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.line.unplug()

    def configure(self, address: str = "127.0.0.1:1", pin: str = "00" * 32, token: str = "", more: str = "") -> Path:
        """Write the configuration; its path."""
        path = self.state / "vedette.toml"
        path.write_text(
            f"""\
[sensor]
state_dir = {json.dumps(str(self.state))}
[collector]
urls = ["https://{address}"]
ca_pin = "{pin}"
token = "{token}"
timeout_s = 10
[identity]
key_store = "secure-element"
[supervisor]
port = {json.dumps(str(self.state / "port"))}
{more}
""",
            encoding="utf-8",
        )
        return path

    @property
    def config(self) -> Config:
        """As written."""
        return load_config(self.state / "vedette.toml")

    @property
    def identity(self) -> IdentityFolder:
        """The identity's files, with the store that the configuration names."""
        return identity_folder(self.config)

    @property
    def element(self) -> ReachedElement:
        """The way to the chip."""
        return ReachedElement(self.config)

    def vedette(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command."""
        argv = [sys.executable, "-m", "appliance", *words, "--config", str(self.state / "vedette.toml")]
        return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    def digest(self) -> str:
        """What the provider pins, as the box shows it."""
        done = self.vedette("supervisor", "element", "--json")
        assert done.returncode == 0, done.stderr
        return str(json.loads(done.stdout)["key_sha256"])
