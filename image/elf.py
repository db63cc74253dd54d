"""Which libraries a program needs, found in a tree that may be of another architecture.

Rules of this file: nothing of the tree is run. `readelf` says what a file needs; where it is found is the order of the
tree's library folders. A library that is not there is an error, never left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from image.errors import StepError
from image.tools import Tools

_FILE = re.compile(r"^File: (.+)$")
_NEEDED = re.compile(r"\(NEEDED\).*\[(.+)\]")
_INTERPRETER = re.compile(r"Requesting program interpreter: (.+)\]")


def parse(text: str, paths: Iterable[Path]) -> dict[Path, list[str]]:
    """From `readelf --dynamic --program-headers`: file -> names of libraries, and the path of its interpreter."""
    found: dict[Path, list[str]] = {path: [] for path in paths}
    # With one file only, readelf does not name it.
    current = next(iter(found)) if len(found) == 1 else None
    for line in text.splitlines():
        if match := _FILE.match(line):
            current = Path(match[1])
        elif current is not None and (match := _NEEDED.search(line) or _INTERPRETER.search(line)):
            found[current].append(match[1])
    return found


def closure(tools: Tools, root: Path, start: Iterable[Path]) -> list[Path]:
    """The files and everything they need, as paths inside `root`, sorted; links and what they point to are both there.

    Raises:
        StepError: a file or a library is not in the tree.
    """
    folders = sorted(p for p in (root / "usr/lib").glob("*-linux-gnu*") if p.is_dir())
    folders += [folder / "systemd" for folder in folders] + [
        root / "usr/lib/systemd",
        root / "usr/lib",
        root / "usr/lib64",
    ]
    known: set[Path] = set()
    waiting = [root / path for path in start]
    while waiting:
        links = [step for path in waiting for step in chain(root, path)]
        known.update(links)
        new = sorted({path for path in links if not path.is_symlink()})
        needed = parse(tools.run("readelf", "--dynamic", "--program-headers", "--wide", *new), new)
        names = sorted({name for names in needed.values() for name in names})
        found = (find(root, folders, name) for name in names)
        waiting = [path for path in found if path not in known]
    return sorted(path.relative_to(root) for path in known)


def chain(root: Path, path: Path) -> Iterator[Path]:
    """A file, or a link, what it points to, and so on, all inside the tree.

    Raises:
        StepError: there is no such file.
    """
    for _ in range(8):
        # /lib and /lib64 are links to /usr/lib and /usr/lib64: every file is named by one path only.
        path = path.parent.resolve() / path.name
        if not path.is_symlink() and not path.exists():
            break
        yield path
        if not path.is_symlink():
            return
        goal = path.readlink()
        path = root / goal.relative_to("/") if goal.is_absolute() else path.parent / goal
    raise StepError(f"{path} is not in the tree")


def find(root: Path, folders: Iterable[Path], name: str) -> Path:
    """A library by name, or an interpreter by path.

    Raises:
        StepError: it is not in the tree.
    """
    candidates = [root / name.lstrip("/")] if name.startswith("/") else [folder / name for folder in folders]
    for path in candidates:
        if path.exists() or path.is_symlink():
            return path.parent.resolve() / path.name
    raise StepError(f"library {name} is not in the tree")
