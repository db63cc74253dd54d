"""`make conformance-tls`: our TLS on the Python and OpenSSL 3.5 of Debian 13, on which sensors run.

    python -m tests.conformance.tls [--root DIR]

What an older machine skips, and what could differ there: key exchange with ML-KEM, resumption, a key in a TPM through
Debian's own tpm2-pytss (2.3.0), cryptography (43) and tpm2-openssl. Left out: test_tpm_residency.py, whose peer, the
MakeCredential of tpm2-pytss 2.3.0, fails with AES-256; the image's drills enroll with these versions. Rules of this
file: the tests are the tree's own, run by chroot with the release's own packages and nothing of ours but the tree; a
test that is skipped there counts as failed.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.conformance.debian13 import DebianError, cache, ensure, inside

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "ca-certificates,python3-cryptography,python3-hypothesis,python3-lxml,python3-pytest,"
    "python3-pytest-timeout,python3-tpm2-pytss,python3-zstandard,swtpm,swtpm-tools,tpm2-openssl"
)
TESTS = (
    "tests/appliance/identity/test_key_exchange.py",
    "tests/appliance/uplink/test_resumption.py",
    "tests/appliance/identity/tpm/test_tpm_keys.py",
    "tests/appliance/identity/tpm/test_tpm_tls.py",
)
TIMEOUT_S = 600


def main() -> int:
    """Run them; 0 when all passed and none was skipped."""
    parser = argparse.ArgumentParser(description="Our TLS on Debian 13's Python and OpenSSL.")
    parser.add_argument("--root", type=Path, default=cache() / "debian-13-tls", help="where Debian 13 is kept")
    root: Path = parser.parse_args().root.absolute()
    try:
        ensure(root, PACKAGES)
    except (DebianError, OSError, subprocess.SubprocessError) as error:
        print(f"FAILED  {error}")
        return 1
    with tempfile.TemporaryDirectory(dir=root / "root", prefix="tree-") as folder:
        for name in ("appliance", "collector_client", "tests"):
            shutil.copytree(ROOT / name, Path(folder) / name, ignore=shutil.ignore_patterns("native", "__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", folder)
        version = "import ssl, sys; print(sys.version.split()[0], ssl.OPENSSL_VERSION)"
        pytest = ["-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", *TESTS]
        for argv in (["-c", version], pytest):
            command = inside(root, Path(folder), "-u", "OPENSSL_CONF", "python3", *argv)
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
            print((done.stdout + done.stderr).strip())
            if done.returncode:
                return 1
    return 1 if re.search(r"\d+ (skipped|xfailed)", done.stdout) else 0


if __name__ == "__main__":
    sys.exit(main())
