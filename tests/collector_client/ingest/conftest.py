"""A collector of one's own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collector_client.harness import Collector


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    """Started; ended after the test."""
    made = Collector(tmp_path / "collector").start()
    yield made
    made.stop()
