"""Reset and the TPM: what a copy of the disk is worth afterwards, and by what the box is still known."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("tpm2_pytss", reason="needs tpm2-pytss (make setup-test)")

from appliance.cli.main import main
from appliance.identity import TpmKeyLostError, TpmMissingError
from appliance.identity.tpm import TpmKeyStore
from appliance.identity.tpm.attestation import endorsement, endorsement_key
from appliance.identity.tpm.keys import attestation_key
from appliance.identity.tpm.session import open_tpm
from appliance.reset import Order, finish, reset
from appliance.reset.marker import Marker, Stage, read, write
from collector_client.attest import parse_public
from collector_client.attest.endorsement import ek_digest
from tests.fakes.swtpm import Swtpm

pytestmark = pytest.mark.tpm


def attestation_name(tpm: Swtpm) -> bytes:
    with open_tpm(tpm.tcti) as session, attestation_key(session) as key:
        return key.name


def test_a_copied_disk_works_after_a_plain_reset_and_not_after_the_tpm_was_cleared(tpm: Swtpm, tmp_path: Path) -> None:
    keys, state, before = TpmKeyStore(tpm.tcti), tmp_path / "state", attestation_name(tpm)
    keys.load_or_create(state / "identity" / "key.pem")
    shutil.copy2(state / "identity" / "key.pem", tmp_path / "copy.pem")
    reset(state, keys, Order(None))
    assert not (state / "identity").exists()
    keys.load(tmp_path / "copy.pem").check()
    assert reset(state, keys, Order(None, clear_tpm=True)).tpm_cleared
    with pytest.raises(TpmKeyLostError):
        keys.load(tmp_path / "copy.pem").check()
    assert attestation_name(tpm) == before, "the operator still knows the box by it"
    keys.load_or_create(state / "identity" / "key.pem").check()


def test_a_tpm_that_is_not_there_stops_the_reset_before_anything_goes(tmp_path: Path) -> None:
    keys, key = TpmKeyStore("device:/dev/no-such-tpm"), tmp_path / "identity" / "key.pem"
    key.parent.mkdir()
    key.write_text("blob")
    with pytest.raises(TpmMissingError):
        reset(tmp_path, keys, Order(None, clear_tpm=True))
    assert key.exists()
    assert read(tmp_path) is None


def test_a_power_cut_before_the_tpm_was_cleared_clears_it_at_the_next_start(tpm: Swtpm, tmp_path: Path) -> None:
    keys = TpmKeyStore(tpm.tcti)
    keys.load_or_create(tmp_path / "identity" / "key.pem")
    write(tmp_path, Marker(Stage.TPM, "s-aaaaaaaaaaaaaaaaaaaa"))
    done = finish(tmp_path, keys)
    assert done is not None
    assert done.tpm_cleared


def test_the_tpm_is_shown_as_a_collector_knows_it_and_a_begun_reset_stays_as_it_is(
    tpm: Swtpm, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state, config = tmp_path / "state", tmp_path / "vedette.toml"
    state.mkdir()
    config.write_text(f'[sensor]\nstate_dir = "{state}"\n[identity]\nkey_store = "tpm"\ntcti = "{tpm.tcti}"\n')
    write(state, Marker(Stage.FILES))
    assert main(["enroll", "--show-ek", "--config", str(config)]) == 0
    with open_tpm(tpm.tcti) as session, endorsement_key(session, endorsement(session)) as ek:
        assert capsys.readouterr().out == f"{ek_digest(parse_public('EK', ek.public_bytes)).hex()}\n"
    assert read(state) == Marker(Stage.FILES)
    assert [path.name for path in state.iterdir()] == ["reset.json"]


def test_a_box_with_its_key_in_a_file_has_no_tpm_to_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "vedette.toml"
    config.write_text(f'[sensor]\nstate_dir = "{tmp_path}"\n[identity]\nkey_store = "software"\n')
    assert main(["enroll", "--show-ek", "--config", str(config)]) == 2
    assert '"tpm" was allowed' in capsys.readouterr().err
