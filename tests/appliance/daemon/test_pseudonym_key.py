"""The key of the pseudonyms is made once, for its owner only, and one that is not whole is never used."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from appliance.config import Config, parse_config
from appliance.daemon.graph import sanitizer
from appliance.errors import EnvironmentFault


@pytest.fixture
def config(tmp_path: Path) -> Config:
    alerts = {"sanitize_networks": ["192.0.2.0/24"], "sanitize_method": "pseudonym"}
    return parse_config({"sensor": {"state_dir": str(tmp_path)}, "alerts": alerts})


def test_the_key_outlives_a_restart_and_is_its_owners(config: Config, tmp_path: Path) -> None:
    path = tmp_path / "identity" / "pseudonym.key"
    assert sanitizer(config) is not None
    first = path.read_bytes()
    assert sanitizer(config) is not None
    assert path.read_bytes() == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("octets", [0, 31, 33])
def test_a_key_that_is_not_whole_is_refused_with_what_to_do(config: Config, tmp_path: Path, octets: int) -> None:
    path = tmp_path / "identity" / "pseudonym.key"
    path.parent.mkdir()
    path.touch(mode=0o600)
    path.write_bytes(bytes(octets))
    with pytest.raises(EnvironmentFault, match=f"{octets} octets came, 32 were allowed") as fault:
        sanitizer(config)
    assert "Delete the file" in fault.value.advice


def test_a_key_that_others_may_read_is_refused(config: Config, tmp_path: Path) -> None:
    path = tmp_path / "identity" / "pseudonym.key"
    assert sanitizer(config) is not None
    path.chmod(0o644)
    with pytest.raises(EnvironmentFault, match="0600 was allowed"):
        sanitizer(config)
