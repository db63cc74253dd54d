"""Real PKCS#11 tokens in a folder: SoftHSM2. One folder a process, because its configuration is read only once."""

from __future__ import annotations

import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path

PIN = "12345678"
SO_PIN = "87654321"
PIN_VARIABLE = "VEDETTE_TEST_PIN"
MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
)


@cache
def home() -> Path:
    """The folder, and the environment variable that the module looks for."""
    folder = Path(tempfile.mkdtemp(prefix="softhsm-"))
    (folder / "tokens").mkdir()
    settings = f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n"
    (folder / "softhsm2.conf").write_text(settings)
    os.environ["SOFTHSM2_CONF"] = str(folder / "softhsm2.conf")
    return folder


def make_token(label: str) -> None:
    """A new, empty token."""
    home()
    _util("--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", SO_PIN)


def remove_token(label: str) -> None:
    """As if it were pulled out and lost."""
    _util("--delete-token", "--token", label)


def module() -> str:
    """The driver's path."""
    return next(path for path in MODULES if Path(path).exists())


def uri(label: str, source: str = f"env:{PIN_VARIABLE}") -> str:
    """Where a token is."""
    return f"pkcs11:token={label}?module-path={module()}&pin-source={source}"


def _util(*words: str) -> None:
    subprocess.run(["softhsm2-util", *words], check=True, capture_output=True)
