"""The Debian mirror that this machine's apt is set up with: the image is made from the same one.

Rules of this file: the tree names no host. What apt says is parsed here; only `configured` asks it.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from image.errors import HostError

RELEASE = "trixie"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
FORMAT = "$(LABEL)|$(REPO_URI)"


@dataclass(frozen=True, slots=True)
class Mirror:
    """Where Debian and its security updates come from."""

    debian: str
    security: str

    def sources(self, release: str = RELEASE) -> tuple[str, ...]:
        """Lines for mmdebstrap, signed by the archive's own keys."""
        signed = f"[signed-by={KEYRING}]"
        return (
            f"deb {signed} {self.debian} {release} main",
            f"deb {signed} {self.debian} {release}-updates main",
            f"deb {signed} {self.security} {release}-security main",
        )


def parse_targets(lines: Iterable[str]) -> Mirror:
    """From `apt-get indextargets` in `FORMAT`: the first of each kind.

    Raises:
        HostError: there is no Debian or no Debian-Security among them.
    """
    found: dict[str, str] = {}
    for line in lines:
        label, _, uri = line.strip().partition("|")
        if uri.startswith(("http://", "https://", "file:/")):
            found.setdefault(label, uri)
    missing = [label for label in ("Debian", "Debian-Security") if label not in found]
    if missing:
        raise HostError(
            f"apt's sources name {', '.join(sorted(found)) or 'nothing'}; {' and '.join(missing)} must be among them",
            advice="Set up apt with Debian and its security updates, then run apt-get update.",
        )
    return Mirror(found["Debian"], found["Debian-Security"])


def configured() -> Mirror:
    """The mirror of this machine.

    Raises:
        HostError: apt is not there or knows no Debian.
    """
    try:
        told = subprocess.run(
            ["apt-get", "indextargets", "--format", FORMAT, "Created-By: Packages", "Origin: Debian"],
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise HostError("apt-get came back not found; the image is made on Debian") from error
    return parse_targets(told.stdout.splitlines())
