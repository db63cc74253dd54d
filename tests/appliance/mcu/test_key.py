"""The pair's key: in a TPM it lies nowhere, otherwise in a file for its owner only, made once."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from appliance.identity import KeyExposedError, KeyFileError, SoftKeyStore, key_store
from appliance.mcu import link_key, make_link_key
from tests.fakes.swtpm import Swtpm


def test_without_a_tpm_it_is_a_file_that_only_its_owner_may_read(tmp_path: Path) -> None:
    keys = SoftKeyStore()
    assert link_key(keys, tmp_path) is None
    key = make_link_key(keys, tmp_path, os.urandom)
    path = tmp_path / "supervisor" / "link.key"
    assert path.read_bytes() == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert make_link_key(keys, tmp_path, os.urandom) == key == link_key(keys, tmp_path), "made once"


@pytest.mark.parametrize("data", [b"", b"x" * 31, b"x" * 33, bytes(32)])
def test_a_file_that_is_no_key_is_refused_with_what_to_do(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "supervisor" / "link.key"
    path.parent.mkdir()
    path.touch(mode=0o600)
    path.write_bytes(data)
    with pytest.raises(KeyFileError, match=f"{len(data)} octets came") as told:
        link_key(SoftKeyStore(), tmp_path)
    assert "pair again" in told.value.advice


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    make_link_key(SoftKeyStore(), tmp_path, os.urandom)
    (tmp_path / "supervisor" / "link.key").chmod(0o640)
    with pytest.raises(KeyExposedError):
        link_key(SoftKeyStore(), tmp_path)


@pytest.mark.tpm
def test_with_a_tpm_nothing_is_on_the_disk_and_an_empty_disk_parts_nobody(tpm: Swtpm, tmp_path: Path) -> None:
    keys = key_store("tpm", tpm.tcti)
    key = make_link_key(keys, tmp_path / "first", os.urandom)
    assert not (tmp_path / "first").exists()
    keys.clear_device()
    assert link_key(keys, tmp_path / "second") == key
