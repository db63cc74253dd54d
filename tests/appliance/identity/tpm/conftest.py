"""A TPM of one's own for each test, made by a maker whose CA lasts for the session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.swtpm import DevelopmentCa, Swtpm, fresh


@pytest.fixture(scope="session")
def maker(tmp_path_factory: pytest.TempPathFactory) -> DevelopmentCa:
    return DevelopmentCa(tmp_path_factory.mktemp("maker"))


@pytest.fixture
def tpm(tmp_path: Path, maker: DevelopmentCa) -> Iterator[Swtpm]:
    with fresh(tmp_path / "tpm", maker) as made:
        yield made


@pytest.fixture
def other_tpm(tmp_path: Path, maker: DevelopmentCa) -> Iterator[Swtpm]:
    with fresh(tmp_path / "other tpm", maker, serial="sn-0002") as made:
        yield made
