"""The tools tree: a Debian of the image's own release, in which every program of the build and of the drills runs.

Rules of this file: nothing is installed on the machine itself, and nothing is mounted outside a mount namespace that
ends with the command. The cache folder and the source tree have the same paths inside and outside.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from image import packages
from image.cache import TREE, Cache, fingerprint
from image.errors import HostError, StepError
from image.mirror import RELEASE, Mirror

# A real pivot_root rather than chroot: systemd-repart and unshare refuse to work inside a chroot.
_ENTER = """
set -eu
tree=$1; cache=$2; source=$3; folder=$4; shift 4
mount --bind "$tree" "$tree"
cd "$tree"
mount --rbind /proc proc; mount --rbind /sys sys; mount --rbind /dev dev
mount -t tmpfs tmpfs run; mkdir -p run/lock
mount -t tmpfs tmpfs tmp
for shared in "$cache" "$source"; do mkdir -p ".$shared"; mount --rbind "$shared" ".$shared"; done
for file in /etc/resolv.conf /etc/hosts; do [ ! -e "$file" ] || cat "$file" > ".$file"; done
mkdir -p .old-root
pivot_root . .old-root
umount -l /.old-root
cd "$folder"
exec "$@"
"""

_DPKG_EXCLUDES = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*")

# Those and no other variables reach a program of the build.
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
}


@dataclass(frozen=True, slots=True)
class Tools:
    """A tools tree that is there; programs run in it."""

    cache: Cache

    def command(self, argv: Sequence[str | Path], *, folder: Path | None = None) -> list[str]:
        """The command line that runs a program inside; for programs that stay, such as a machine."""
        cache = self.cache
        inside = ["sh", "-c", _ENTER, "tools", cache.tools, cache.folder, TREE, folder or cache.folder, *argv]
        return ["unshare", "--mount", "--propagation", "private", "--", *map(str, inside)]

    def environment(self, extra: Mapping[str, str] = {}) -> dict[str, str]:
        """What a program inside finds in its environment; temporary files go to the cache, as some are large."""
        scratch = self.cache.folder / "tmp"
        scratch.mkdir(parents=True, exist_ok=True)
        return {**_ENVIRONMENT, "TMPDIR": str(scratch), **extra}

    def run(
        self,
        *argv: str | Path,
        folder: Path | None = None,
        environment: Mapping[str, str] = {},
        stdin: bytes | None = None,
    ) -> str:
        """Run a program to its end; returns its standard output.

        Raises:
            StepError: it ended with anything but 0.
        """
        ended = subprocess.run(
            self.command(argv, folder=folder),
            env=self.environment(environment),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            check=False,
        )
        if ended.returncode != 0:
            said = (ended.stdout[-1500:] + ended.stderr[-3000:]).decode(errors="replace")
            raise StepError(f"{argv[0]} ended with {ended.returncode}:\n{said}")
        return ended.stdout.decode(errors="replace")


def ready(cache: Cache, mirror: Mirror, architecture: str) -> Tools:
    """The tools tree, made when it is not there or its list has changed.

    Raises:
        HostError: this machine cannot make it.
        StepError: mmdebstrap failed; the text says why.
    """
    if os.geteuid() != 0:
        raise HostError(
            f"user {os.geteuid()} came, root was allowed", advice="Run make image as root: it unpacks file owners."
        )
    wanted = packages.read(packages.TOOLS_LIST, architecture)
    made_of = fingerprint([RELEASE, *mirror.sources(), *wanted])
    if not cache.fresh("tools", made_of):
        if shutil.which("mmdebstrap") is None:
            raise HostError("mmdebstrap came back not found", advice="apt-get install mmdebstrap")
        cache.begin("tools")
        if cache.tools.exists():
            shutil.rmtree(cache.tools)
        cache.folder.mkdir(parents=True, exist_ok=True)
        bootstrap(cache.tools, wanted, mirror)
        cache.done("tools", made_of)
    return Tools(cache)


def bootstrap(target: Path, wanted: Sequence[str], mirror: Mirror) -> None:
    """Make a folder of Debian with the machine's own mmdebstrap.

    Raises:
        StepError: it failed.
    """
    excludes = [f"--dpkgopt=path-exclude={pattern}" for pattern in _DPKG_EXCLUDES]
    argv = [
        "mmdebstrap",
        "--mode=root",
        "--variant=apt",
        "--format=directory",
        '--aptopt=APT::Install-Recommends "false"',
        *excludes,
        "--dpkgopt=force-unsafe-io",
        f"--include={','.join(wanted)}",
        RELEASE,
        str(target),
        *mirror.sources(),
    ]
    environment = {**_ENVIRONMENT, "TMPDIR": str(target.parent)}
    ended = subprocess.run(
        argv, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )  # fmt: skip
    if ended.returncode != 0:
        raise StepError(f"mmdebstrap ended with {ended.returncode}:\n{ended.stderr[-4000:]}")
