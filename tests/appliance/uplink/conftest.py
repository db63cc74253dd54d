"""A sensor with a spool and an identity, and a collector on the other side of real TLS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.appliance.uplink.box import Box
from tests.fakes.collector import FakeCollector
from tests.fakes.pki import Authority


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def collector(authority: Authority, tmp_path: Path) -> Iterator[FakeCollector]:
    with FakeCollector(authority, authority.server(tmp_path)) as fake:
        yield fake


@pytest.fixture
def box(authority: Authority, tmp_path: Path) -> Iterator[Box]:
    made = Box(tmp_path / "box", authority)
    yield made
    made.close()
