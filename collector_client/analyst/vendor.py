"""Set-up: fetch the page's two browser libraries from the npm registry and lay their files into static/vendor/.

Rules of this file: a script, not imported by the page's server. What is fetched is pinned twice: package-lock.json
holds the SHA-512 of each package (npm checks it), the table below the SHA-256 of each file (checked here). No package
script is run. The files are never committed; the wheel carries them.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENDOR = HERE / "static" / "vendor"

# (file in node_modules, its name here, its SHA-256)
FILES: tuple[tuple[str, str, str], ...] = (
    ("htmx.org/dist/htmx.min.js", "htmx.min.js", "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130"),
    ("htmx.org/LICENSE", "htmx.LICENSE.md", "d3d2456f76414f2456104660ebd65aff1c04cd7966b942bdabd63f3cdb316a38"),
    (
        "uplot/dist/uPlot.iife.min.js",
        "uplot.min.js",
        "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    ),
    ("uplot/dist/uPlot.min.css", "uplot.min.css", "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04"),
    ("uplot/LICENSE", "uplot.LICENSE.md", "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd"),
)


def main() -> int:
    """Fetch, check, lay out; 0 when every file is in place, 1 with a message otherwise."""
    npm = shutil.which("npm")
    if npm is None:
        return _fail("npm came back not found; it fetches the page's scripts", "install it: apt-get install npm")
    with tempfile.TemporaryDirectory(prefix="vedette-npm-") as name:
        work = Path(name)
        for manifest in ("package.json", "package-lock.json"):
            shutil.copy(HERE / manifest, work / manifest)
        done = subprocess.run(
            [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
            cwd=work, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            return _fail(
                f"npm ci ended with {done.returncode}:\n{done.stderr.strip()}", "check the npm registry setting"
            )
        fetched = {}
        for source, target, digest in FILES:
            data = (work / "node_modules" / source).read_bytes()
            came = hashlib.sha256(data).hexdigest()
            if came != digest:
                return _fail(f"{source}: SHA-256 {came} came, {digest} is pinned", "do not use it; look at vendor.py")
            fetched[target] = data
    VENDOR.mkdir(parents=True, exist_ok=True)
    for old in VENDOR.iterdir():
        if old.name not in fetched:
            old.unlink()
    for target, data in fetched.items():
        (VENDOR / target).write_bytes(data)
    return 0


def _fail(message: str, advice: str) -> int:
    print(f"{message}\n{advice}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
