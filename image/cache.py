"""Where the image is made: one folder outside the tree, with what may be used again and what may not.

Rules of this file: paths and stamps. What a stamp names is whole: the stamp goes before the work begins and comes back
when it has succeeded, so an interrupted run is simply run again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

TREE = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Cache:
    """The folder and what is in it."""

    folder: Path

    @property
    def tools(self) -> Path:
        """The tools tree."""
        return self.folder / "tools"

    @property
    def archives(self) -> Path:
        """Debian packages, as they were downloaded."""
        return self.folder / "archives"

    @property
    def wheels(self) -> Path:
        """Our distributions."""
        return self.folder / "wheels"

    @property
    def keys(self) -> Path:
        """Development keys; outside the tree, so that they are never committed."""
        return self.folder / "keys"

    def base(self, fingerprint: str) -> Path:
        """The base tree of the image for one package list, as an archive."""
        return self.folder / f"base-{fingerprint[:16]}.tar"

    @contextmanager
    def work(self, name: str) -> Iterator[Path]:
        """An empty folder for one run, removed when the run has succeeded."""
        folder = self.folder / "work" / name
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        yield folder
        shutil.rmtree(folder)

    def fresh(self, name: str, fingerprint: str) -> bool:
        """Whether the thing of that name was made whole from these inputs."""
        try:
            return self._stamp(name).read_text(encoding="ascii") == fingerprint
        except OSError:
            return False

    def begin(self, name: str) -> None:
        """The thing is about to be made anew."""
        self._stamp(name).unlink(missing_ok=True)

    def done(self, name: str, fingerprint: str) -> None:
        """The thing is whole."""
        self._stamp(name).parent.mkdir(parents=True, exist_ok=True)
        self._stamp(name).write_text(fingerprint, encoding="ascii")

    def _stamp(self, name: str) -> Path:
        return self.folder / "stamps" / name


def default_cache() -> Cache:
    """XDG_CACHE_HOME or ~/.cache, then vedette/image."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    folder = Path(home) if home.startswith("/") else Path.home() / ".cache"
    return Cache(folder / "vedette" / "image")


def fingerprint(parts: Iterable[str | bytes | Path]) -> str:
    """SHA-256 (hex) over texts, bytes and the contents of files, each with its length."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, Path) else part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def sha256(path: Path) -> str:
    """SHA-256 (hex) of a file of any size."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
