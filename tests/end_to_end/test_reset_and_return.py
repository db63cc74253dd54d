"""A real box with a TPM is reset and comes back: refused as somebody new, taken as itself when the operator says so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("tpm2_pytss", reason="needs tpm2-pytss (make setup-test)")

from appliance.cli.main import main as vedette
from collector_client.cli import main as vedette_collector
from tests.collector_client.harness import Collector
from tests.fakes.swtpm import Swtpm

pytestmark = pytest.mark.tpm


@pytest.fixture
def collector(tmp_path: Path, tpm: Swtpm) -> Iterator[Collector]:
    """It knows the maker of the TPM as one of development TPMs."""
    made = Collector(tmp_path / "collector")
    roots = made.directory / "pki" / "tpm-roots-development"
    roots.mkdir()
    (roots / "maker.pem").write_bytes(tpm.ca.root_pem + tpm.ca.issuer_pem)
    yield made.start()
    made.stop()


def test_a_reset_box_returns_as_itself_by_the_operators_yes(
    tmp_path: Path, tpm: Swtpm, collector: Collector, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "vedette.toml"

    def with_token(token: str) -> list[str]:
        config.write_text(
            f"""\
[sensor]
state_dir = {json.dumps(str(tmp_path / "state"))}
[identity]
tcti = "{tpm.tcti}"
[collector]
urls = ["https://{collector.address}"]
ca_pin = "{collector.pin}"
token = "{token}"
"""
        )
        return ["--config", str(config), "--json"]

    def told(code: int) -> dict[str, str]:
        assert code == 0
        return dict(json.loads(capsys.readouterr().out))

    first = told(vedette(["enroll", *with_token(collector.token())]))["sensor_id"]
    key = (tmp_path / "state" / "identity" / "key.pem").read_bytes()
    assert told(vedette(["reset", *with_token(""), "--sensor", first]))["sensor_id"] == first

    assert vedette(["enroll", *with_token(collector.token())]) == 3
    said = capsys.readouterr().err
    assert "TPM_KNOWN" in said
    assert "token new --for" in said

    made = told(vedette_collector(["token", "new", str(collector.directory), "--for", first, "--json"]))
    assert made["for_sensor"] == first
    assert told(vedette(["enroll", *with_token(made["token"])]))["sensor_id"] == first
    assert (tmp_path / "state" / "identity" / "key.pem").read_bytes() != key
    assert collector.control("SELECT sensor_id FROM sensors") == [(first,)]
    assert collector.control("SELECT COUNT(*) FROM sensor_keys") == [(2,)]
