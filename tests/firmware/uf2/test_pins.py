"""What comes from PyPI is named with its version and the sum of its octets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from firmware.uf2.pypi import FROZEN
from tests.firmware.sim.run import EMULATOR

PINNED = re.compile(r"[a-z0-9-]+==[0-9.]+( *--hash=sha256:[0-9a-f]{64})+")


@pytest.mark.parametrize("path", [FROZEN, EMULATOR], ids=lambda path: path.name)
def test_every_package_is_pinned_by_version_and_hash(path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace("\\\n", "")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert lines
    assert [line for line in lines if not PINNED.fullmatch(line)] == []
