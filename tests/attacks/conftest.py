"""Two TPMs of one maker, a collector in production that trusts the maker, and a CA that the box's system trusts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from collector_client.config import Config
from tests.collector_client.harness import Collector, production
from tests.fakes.pki import Authority, pem
from tests.fakes.swtpm import DevelopmentCa, Swtpm, fresh


def strict(config: Config) -> Config:
    """In production, with room for many attempts."""
    return replace(production(config), quota=replace(config.quota, enrollments_per_minute=10_000))


@pytest.fixture(scope="module")
def one_tpm(tmp_path_factory: pytest.TempPathFactory, maker: DevelopmentCa) -> Iterator[Swtpm]:
    """Of the honest box; its PCRs are as the power-on left them, unless a test of the module changed them."""
    with fresh(tmp_path_factory.mktemp("tpms") / "one", maker) as made:
        yield made


@pytest.fixture(scope="module")
def two_tpm(tmp_path_factory: pytest.TempPathFactory, maker: DevelopmentCa) -> Iterator[Swtpm]:
    """Another one by the same maker."""
    with fresh(tmp_path_factory.mktemp("tpms") / "two", maker, serial="sn-0002") as made:
        yield made


@pytest.fixture
def collector(tmp_path: Path, maker: DevelopmentCa, one_tpm: Swtpm) -> Iterator[Collector]:
    """swtpm's CA stands among the makers of hardware, as its TPMs play hardware here."""
    made = Collector(tmp_path / "collector", strict)
    folder = made.directory / "pki" / "tpm-roots"
    folder.mkdir()
    # The maker's CA is made with its first TPM.
    assert one_tpm.ca == maker
    (folder / "maker.pem").write_bytes(maker.root_pem + maker.issuer_pem)
    yield made.start()
    made.stop()


@pytest.fixture
def thief(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """A CA that the box's system trusts for everything."""
    made = Authority("Well-known")
    path = tmp_path / "system-trust.pem"
    path.write_bytes(pem(made.root, made.issuing))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return made
