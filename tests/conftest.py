"""Markers and what they need: a test that cannot run here says why.

root     needs to be root with namespaces, mounts or raw sockets
browser  needs Debian's Chromium
data     needs the captures and rules of ../shared/data
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No test passes or fails by the speed of the machine it runs on.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

ROOT = Path(__file__).parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"

NEEDS = {
    "root": ("root, for namespaces, mounts and raw sockets", lambda: os.geteuid() == 0),
    "browser": ("Debian's Chromium at /usr/bin/chromium", lambda: shutil.which("chromium") is not None),
    "data": ("captures and rules in ../shared/data", SHARED_DATA.is_dir),
}


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers with a sentence each."""
    for name, (need, _) in NEEDS.items():
        config.addinivalue_line("markers", f"{name}: needs {need}")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, with the reason, what this machine cannot run."""
    for name, (need, met) in NEEDS.items():
        if item.get_closest_marker(name) and not met():
            pytest.skip(f"needs {need}")


@pytest.fixture
def shared_data() -> Path:
    """The folder of real captures and rules."""
    if not SHARED_DATA.is_dir():
        pytest.skip("needs captures and rules in ../shared/data")
    return SHARED_DATA
