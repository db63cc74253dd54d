"""A small spool in the test's own folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.spool import Spool
from tests.appliance.spool.events import EPOCH, OpenSpool
from tests.fakes.clock import FakeClock


@pytest.fixture
def open_spool(tmp_path: Path) -> Iterator[OpenSpool]:
    """Open the spool in the test's folder, as often as wanted; epochs count up from EPOCH."""
    opened: list[Spool] = []
    epochs = iter(range(EPOCH, EPOCH + 1000))

    def opening(
        folder: Path = tmp_path / "spool", *, max_bytes: int = 1 << 20, segment_bytes: int = 4096, fsync: bool = False
    ) -> Spool:
        spool = Spool.open(
            folder,
            max_bytes=max_bytes,
            segment_bytes=segment_bytes,
            clock=FakeClock(),
            random_epoch=lambda: next(epochs),
            fsync=fsync,
        )
        opened.append(spool)
        return spool

    yield opening
    for spool in opened:
        spool.close()
