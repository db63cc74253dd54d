"""Where a key lives is what the configuration says, by default the TPM; without one there is an error, never a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance.cli.main import main
from appliance.config import Config


def test_a_tpm_is_asked_for_unless_the_configuration_says_software() -> None:
    assert Config().identity.key_store == "tpm"


def test_a_box_without_a_tpm_enrolls_with_nothing_and_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "vedette.toml"
    config.write_text(
        f"""\
[sensor]
state_dir = {json.dumps(str(tmp_path / "state"))}
[identity]
tcti = "device:/dev/no-such-tpm"
[collector]
urls = ["https://127.0.0.1:1"]
ca_pin = "{"0" * 64}"
token = "t-abcdefghijkl.{"S" * 40}"
"""
    )
    assert main(["enroll", "--config", str(config)]) == 4
    assert 'key_store = "software"' in capsys.readouterr().err
    assert not (tmp_path / "state" / "identity" / "key.pem").exists()
