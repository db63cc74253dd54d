"""Our own distributions as wheels: `vedette` from this tree, `vedette-engine` built for the image's machine.

Rules of this file: the pure wheel is built from a clean copy, so that neither stale build folders nor the collector's
side come along; the engine is built again only when its sources have changed.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from image.cache import TREE, Cache, fingerprint
from image.errors import HostError, StepError

# Debian's word -> the machine's own.
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
TRIXIE_GLIBC = (2, 41)
_GLIBC = re.compile(rb"GLIBC_(\d+)\.(\d+)")
_SOURCES = (".rs", ".toml", ".lock", ".pyi", ".py")


def make_wheels(cache: Cache, architecture: str, *, epoch: int) -> tuple[Path, Path]:
    """The two wheels: (vedette, vedette-engine).

    Raises:
        HostError: the engine cannot be built here for that machine.
        StepError: pip or maturin failed.
    """
    return make_pure_wheel(cache, epoch=epoch), make_engine_wheel(cache, architecture)


def make_pure_wheel(cache: Cache, *, epoch: int) -> Path:
    """`vedette` without the collector's side.

    Raises:
        StepError: pip failed.
    """
    out = cache.wheels / "pure"
    shutil.rmtree(out, ignore_errors=True)
    with cache.work("wheel") as work:
        left_out = shutil.ignore_patterns("native", "__pycache__", "*.so")
        shutil.copytree(TREE / "appliance", work / "appliance", ignore=left_out)
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(TREE / name, work / name)
        options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
        _run([sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", str(out), str(work)], epoch=epoch)
    return _only(out, "vedette-*.whl")


def make_engine_wheel(cache: Cache, architecture: str) -> Path:
    """`vedette-engine` for the image's machine.

    Raises:
        HostError: this machine is another one, or its C library is newer than the image's.
        StepError: maturin failed.
    """
    out = cache.wheels / architecture
    native = TREE / "appliance" / "native"
    sources = sorted(p for p in native.rglob("*") if p.suffix in _SOURCES and "target" not in p.parts)
    made_of = fingerprint([architecture, *sources])
    name = f"engine-{architecture}"
    if not cache.fresh(name, made_of):
        if platform.machine() != MACHINES.get(architecture):
            raise HostError(
                f"the engine for {architecture} was asked for on {platform.machine()}",
                advice=f"Build the wheel on such a machine (make wheels) and put it into {out}.",
            )
        cache.begin(name)
        shutil.rmtree(out, ignore_errors=True)
        # Paths of this machine must not show in the binary.
        remap = f"--remap-path-prefix={TREE}=/vedette --remap-path-prefix={Path.home()}=/home"
        argv = [sys.executable, "-m", "maturin", "build", "--release", "--locked", "--quiet"]
        argv += ["--compatibility", "linux", "--interpreter", sys.executable, "--out", str(out)]
        target = str(cache.folder / "target")
        _run(argv, folder=native, extra={"CARGO_TARGET_DIR": target, "RUSTFLAGS": remap})
        cache.done(name, made_of)
    wheel = _only(out, "vedette_engine-*.whl")
    check_glibc(wheel)
    return wheel


def host_architecture() -> str:
    """This machine in Debian's word.

    Raises:
        HostError: the image is not made for such machines.
    """
    for debian, machine in MACHINES.items():
        if platform.machine() == machine:
            return debian
    raise HostError(f"{platform.machine()} came; {', '.join(MACHINES.values())} were allowed")


def check_glibc(wheel: Path) -> None:
    """See that the engine runs with the image's C library.

    Raises:
        HostError: it needs a newer one.
    """
    with zipfile.ZipFile(wheel) as archive:
        libraries = [archive.read(name) for name in archive.namelist() if name.endswith(".so")]
    needed = max(((int(a), int(b)) for data in libraries for a, b in _GLIBC.findall(data)), default=(0, 0))
    if needed > TRIXIE_GLIBC:
        raise HostError(
            f"{wheel.name} needs glibc {needed[0]}.{needed[1]}, the image has {TRIXIE_GLIBC[0]}.{TRIXIE_GLIBC[1]}",
            advice="Build the engine on Debian 13 or older.",
        )


def unpack(wheel: Path, target: Path) -> None:
    """Lay a wheel's files down."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    for path in target.rglob("*"):
        path.chmod(0o755 if path.is_dir() or path.suffix == ".so" else 0o644)


def _run(argv: list[str], *, folder: Path = TREE, epoch: int = 0, extra: dict[str, str] | None = None) -> None:
    environment = {**os.environ, **(extra or {}), "SOURCE_DATE_EPOCH": str(epoch)}
    ended = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise StepError(
            f"{' '.join(argv[1:4])} ended with {ended.returncode}:\n{(ended.stdout + ended.stderr)[-4000:]}"
        )


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise StepError(f"{folder}: {[p.name for p in found]} came, one {pattern} was allowed")
    return found[0]
