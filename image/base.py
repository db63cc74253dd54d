"""The base tree: Debian with the packages of the image's list, before anything of ours is in it, as one archive.

Rules of this file: packages only, no file is changed here but what mmdebstrap itself leaves out. The archive is kept by
the fingerprint of what it was made from, and the Debian packages beside it, so that an image is made again without the
mirror.
"""

from __future__ import annotations

from pathlib import Path

from image import packages
from image.cache import fingerprint
from image.mirror import RELEASE, Mirror
from image.tools import Tools

# Documentation stays on the mirror; copyright files stay, as licences want them.
_DPKG_OPTIONS = (
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "force-unsafe-io",
)


def base_fingerprint(mirror: Mirror, architecture: str) -> str:
    """What a base tree depends on, besides the mirror's packages of the day."""
    return fingerprint([architecture, RELEASE, *mirror.sources(), *_DPKG_OPTIONS, packages.IMAGE_LIST])


def make_base(tools: Tools, mirror: Mirror, architecture: str, *, epoch: int, target: Path) -> None:
    """Make the archive anew; what was downloaded before is used again.

    Raises:
        StepError: mmdebstrap failed.
        InputError: the list is wrong.
    """
    archives = tools.cache.archives
    archives.mkdir(parents=True, exist_ok=True)
    wanted = packages.read(packages.IMAGE_LIST, architecture)
    kept = f'cp -n {archives}/*.deb "$1/var/cache/apt/archives/" 2>/dev/null || :'
    keep = f'cp -n "$1"/var/cache/apt/archives/*.deb {archives}/ 2>/dev/null || :'
    partial = target.with_suffix(".partial.tar")
    tools.run(
        "mmdebstrap",
        "--mode=root",
        "--variant=minbase",
        f"--architectures={architecture}",
        '--aptopt=APT::Install-Recommends "false"',
        *(f"--dpkgopt={option}" for option in _DPKG_OPTIONS),
        f'--setup-hook=mkdir -p "$1/var/cache/apt/archives"; {kept}',
        "--skip=cleanup/apt/cache",
        f'--customize-hook={keep}; rm -f "$1"/var/cache/apt/archives/*.deb',
        f"--include={','.join(wanted)}",
        RELEASE,
        partial,
        *mirror.sources(),
        environment={"SOURCE_DATE_EPOCH": str(epoch)},
    )
    partial.rename(target)
