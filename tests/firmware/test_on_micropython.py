"""The tests of `device/`, which pytest runs on CPython, once more on a real MicroPython."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.fakes.micropython import MICROPYTHON, ROOT, environment

DEVICE = ROOT / "tests" / "firmware" / "device"
HEAP_BYTES = 400_000
"""For words of 64 bits; the RP2040 has some 230 kB free for words of 32."""


@pytest.mark.micropython
def test_all_tests_of_the_device_pass_on_micropython(tmp_path: Path) -> None:
    command = [MICROPYTHON, "-X", f"heapsize={HEAP_BYTES}", DEVICE / "run.py", DEVICE]
    out = subprocess.run(command, env=environment(tmp_path / "lib"), capture_output=True, text=True, check=False)
    assert out.returncode == 0, out.stdout + out.stderr
    count = re.search(r"^(\d+) passed, 0 failed on micropython$", out.stdout, re.M)
    assert count, out.stdout
    wanted = sum(len(re.findall(r"^def test_", path.read_text(), re.M)) for path in DEVICE.glob("test_*.py"))
    assert int(count[1]) == wanted
