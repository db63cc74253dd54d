"""The Debian 13 that the images are compiled in, kept in the cache, and programs run in it.

Rules of this file: nothing is installed on the machine itself; a program inside sees nothing of its environment.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from firmware.uf2.errors import HostError
from firmware.uf2.steps import Tell, run, step
from tests.conformance import debian13

PACKAGES = (
    "cmake",
    "gcc",
    "gcc-arm-none-eabi",
    "libc6-dev",
    "libnewlib-arm-none-eabi",
    "libstdc++-arm-none-eabi-newlib",
    "make",
    "pico-sdk-source",
    "picotool",
    "pioasm",
    "python3",
    "tinyusb-source",
)
# Programs and sources whose version can change an image.
RECORDED = ("gcc-arm-none-eabi", "libnewlib-arm-none-eabi", "pico-sdk-source", "picotool", "pioasm", "tinyusb-source")
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8", "TZ": "UTC"}


@dataclass(frozen=True, slots=True)
class Debian:
    """A folder of Debian that is there."""

    root: Path
    tell: Tell

    def seen(self, path: Path) -> str:
        """A path of ours as a program inside sees it."""
        return f"/{path.relative_to(self.root)}"

    def run(self, name: str, folder: Path, *argv: str, environment: Mapping[str, str], log: Path) -> None:
        """Run a program in a folder of it, as a step.

        Raises:
            StepError: it did not succeed.
        """
        settings = [f"{key}={value}" for key, value in {**ENVIRONMENT, **environment}.items()]
        run(self.tell, name, debian13.inside(self.root, folder, "-i", *settings, *argv), log)

    def versions(self) -> dict[str, str]:
        """The versions of the packages that make the image what it is."""
        asked = ["dpkg-query", f"--root={self.root}", "--show", "--showformat=${Package} ${Version}\\n", *RECORDED]
        told = subprocess.run(asked, capture_output=True, text=True, check=True)
        return dict(line.split(" ", 1) for line in told.stdout.splitlines())


def ready(root: Path, tell: Tell) -> Debian:
    """The folder, made when it is not there or its packages are others.

    Raises:
        HostError: this machine cannot make it.
    """
    try:
        with step(tell, "Debian 13 with the compilers (4 GB, once)"):
            debian13.ensure(root, ",".join(PACKAGES))
    except debian13.DebianError as error:
        raise HostError(
            str(error), advice="Type it as root, on a Debian with mmdebstrap: apt-get install mmdebstrap"
        ) from error
    except (OSError, subprocess.SubprocessError) as error:
        raise HostError(f"{root}: {error}") from error
    return Debian(root, tell)


def mirror() -> str:
    """Where Debian comes from on this machine.

    Raises:
        HostError: apt knows no Debian.
    """
    try:
        return debian13.mirror()
    except (debian13.DebianError, OSError, subprocess.SubprocessError) as error:
        raise HostError(str(error)) from error
