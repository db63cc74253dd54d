"""Markers and what they need: a test that cannot run here says why.

root     needs to be root with namespaces, mounts or raw sockets
browser  needs Debian's Chromium
data     needs the captures and rules of ../shared/data
tpm      needs swtpm and tpm2-pytss
softhsm  needs SoftHSM2 and python-pkcs11
tpm_tls  needs tpm2-openssl >= 1.3.0 besides
tpm_broker  needs tpm2-abrmd and dbus-daemon
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.fakes import broker
from tests.fakes.swtpm import PROVIDERS, DevelopmentCa, Swtpm, fresh

# No test passes or fails by the speed of the machine it runs on.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

ROOT = Path(__file__).parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"


@functools.cache
def may_have_namespaces() -> bool:
    """Being root is not enough: a container or a chroot may forbid them."""
    return os.geteuid() == 0 and subprocess.run(["unshare", "--mount", "--net", "true"], check=False).returncode == 0


NEEDS = {
    "root": ("root with namespaces, mounts and raw sockets", may_have_namespaces),
    "browser": ("Debian's Chromium at /usr/bin/chromium", lambda: shutil.which("chromium") is not None),
    "tpm": (
        "swtpm and tpm2-pytss (make setup-test)",
        lambda: shutil.which("swtpm_setup") is not None and find_spec("tpm2_pytss") is not None,
    ),
    "tpm_broker": ("tpm2-abrmd on a D-Bus of its own (make setup-test)", lambda: not broker.lacking()),
    "tpm_tls": ("tpm2-openssl >= 1.3.0 (make setup-test)", lambda: any(path.is_file() for path in PROVIDERS)),
    "softhsm": (
        "SoftHSM2 and python-pkcs11 (make setup-test)",
        lambda: shutil.which("softhsm2-util") is not None and find_spec("pkcs11") is not None,
    ),
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


@pytest.fixture(scope="session")
def maker(tmp_path_factory: pytest.TempPathFactory) -> DevelopmentCa:
    """The maker of this session's TPMs."""
    return DevelopmentCa(tmp_path_factory.mktemp("maker"))


@pytest.fixture
def tpm(tmp_path: Path, maker: DevelopmentCa) -> Iterator[Swtpm]:
    """A TPM of the test's own."""
    with fresh(tmp_path / "tpm", maker) as made:
        yield made


@pytest.fixture
def other_tpm(tmp_path: Path, maker: DevelopmentCa) -> Iterator[Swtpm]:
    """Another one by the same maker."""
    with fresh(tmp_path / "other tpm", maker, serial="sn-0002") as made:
        yield made
