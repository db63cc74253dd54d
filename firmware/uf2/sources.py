"""Debian's source packages that an image is built from, pinned to the octet.

Rules of this file: which version is here and nowhere else; the archive's own signature and our sum must both hold. They
come from the mirror that this machine's apt is set up with, and nothing of apt's own state is touched.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path

from firmware.uf2.errors import HostError, SourceError

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
TIMEOUT_S = 600


@dataclass(frozen=True, slots=True)
class Source:
    """One source package, and its upstream archive, of which alone the image is built."""

    package: str
    version: str
    archive: str
    sha256: str

    @property
    def request(self) -> str:
        """As apt wants it."""
        return f"{self.package}={self.version}"


# Debian's archive of MicroPython is the project's own without one blob of another port; mbedtls is upstream's as it is.
MICROPYTHON = Source(
    "micropython",
    "1.25.0+ds-1",
    "micropython_1.25.0+ds.orig.tar.xz",
    "7b25be99a502f070b2de81dafc08da7051d992325d6e67daa9045a918fffdbea",
)
MBEDTLS = Source(
    "mbedtls",
    "3.6.6-0.1~deb13u1",
    "mbedtls_3.6.6.orig.tar.bz2",
    "8fb65fae8dcae5840f793c0a334860a411f884cc537ea290ce1c52bb64ca007a",
)
SOURCES = (MICROPYTHON, MBEDTLS)
MICROPYTHON_TAG = "v1.25.0"


def sha256_of(path: Path) -> str:
    """The sum of a file's octets, as sha256sum writes it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def there(folder: Path, source: Source) -> bool:
    """Whether the folder has the source, whole."""
    archive = folder / source.archive
    return archive.is_file() and sha256_of(archive) == source.sha256


def fetch(folder: Path, mirror: str, release: str, source: Source) -> None:
    """Bring one source package into the folder, if it is not there.

    Raises:
        HostError: there is no apt here.
        SourceError: the release has another version now, or the archive is not the one that was pinned.
    """
    if there(folder, source):
        return
    folder.mkdir(parents=True, exist_ok=True)
    state = folder / "apt"
    for name in ("lists/partial", "cache/archives/partial", "none"):
        (state / name).mkdir(parents=True, exist_ok=True)
    (state / "sources.list").write_text(f"deb-src [signed-by={KEYRING}] {mirror} {release} main\n", encoding="ascii")
    options = {
        "Dir::Etc::SourceList": state / "sources.list",
        "Dir::Etc::SourceParts": state / "none",
        "Dir::State::Lists": state / "lists",
        "Dir::Cache": state / "cache",
        "APT::Sandbox::User": pwd.getpwuid(os.getuid()).pw_name,
        "Acquire::Languages": "none",
    }
    apt = ["apt-get", "-qq", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]
    for argv in ([*apt, "update"], [*apt, "source", "--download-only", source.request]):
        try:
            ended = subprocess.run(
                argv,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=TIMEOUT_S,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise HostError(f"apt-get: {error}") from error
        if ended.returncode:
            raise SourceError(
                f"{source.request}: apt-get ended with {ended.returncode}: {ended.stderr.strip()[-600:]}",
                advice=f"If {release} has another version now, review it and pin that in firmware/uf2/sources.py.",
            )
    if not there(folder, source):
        came = sha256_of(folder / source.archive) if (folder / source.archive).is_file() else "nothing"
        raise SourceError(f"{source.archive}: {came} came; {source.sha256} was allowed")
