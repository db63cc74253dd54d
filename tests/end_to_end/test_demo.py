"""The demo as people start it: with a TPM, without one, and broken off in the first moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.swtpm import DevelopmentCa

ROOT = Path(__file__).parents[2]
NO_TPM = "NO TPM: THE KEY OF THIS SENSOR IS IN A FILE"


def demo(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "tests.demo", str(folder)]
    return subprocess.run(
        argv, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.tpm
@pytest.mark.tpm_tls
@pytest.mark.timeout(300)
def test_the_demo_enrolls_a_key_in_a_tpm_and_says_what_it_is_worth(tmp_path: Path) -> None:
    done = demo(tmp_path / "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert NO_TPM not in done.stdout
    assert "made in a TPM and never out of it" in done.stdout
    assert "Its assurance is software, because this TPM is a program" in done.stdout
    key = (tmp_path / "demo" / "sensor" / "identity").rglob("key.pem")
    assert [b"BEGIN TSS2 PRIVATE KEY" in path.read_bytes() for path in key] == [True]
    listed = (tmp_path / "demo" / "collector" / "pki" / "tpm-roots-development" / "swtpm.pem").read_bytes()
    assert DevelopmentCa(tmp_path / "demo" / "tpm-ca").root_pem in listed


@pytest.mark.timeout(300)
def test_without_a_tpm_the_demo_says_so_before_and_after_and_still_has_its_alerts(tmp_path: Path) -> None:
    (tmp_path / "no tools").mkdir()
    done = demo(tmp_path / "demo", PATH=str(tmp_path / "no tools"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.lstrip().startswith(NO_TPM)
    before, alerts, after = done.stdout.partition("alerts in the collector's store.")
    assert NO_TPM in before
    assert NO_TPM in after
    assert alerts
    assert "Debian packages swtpm, swtpm-tools" in after
    assert "The page was at http://" in after


def test_a_demo_broken_off_in_its_first_moment_says_so_without_a_traceback(tmp_path: Path) -> None:
    """The signal waits from before the interpreter begins, as make starts it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.demo", str(tmp_path / "demo")],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    process.send_signal(signal.SIGINT)
    said, complained = process.communicate(timeout=60)
    assert (process.returncode, complained) == (130, "")
    assert "demo: interrupted" in said
    assert not (tmp_path / "demo").exists()
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "env --block-signal=INT $(PY) -m tests.demo" in makefile
