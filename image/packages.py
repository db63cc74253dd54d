"""A package list: one package a line, each with its reason.

Rules of this file: parsing only. A line without a reason is refused, so that the image stays as small as it can be
explained.
"""

from __future__ import annotations

import re
from pathlib import Path

from image.errors import InputError

IMAGE_LIST = Path(__file__).with_name("packages.txt")
TOOLS_LIST = Path(__file__).with_name("tools.txt")

_LINE = re.compile(r"(?P<name>[a-z0-9][a-z0-9+.-]+)(?: +\[(?P<architecture>[a-z0-9]+)\])? +# (?P<reason>\S.*)")


def parse(text: str, architecture: str, *, where: str = "list") -> tuple[str, ...]:
    """The packages for an architecture (Debian's word for it), in the order of the list.

    Raises:
        InputError: a line is not `package [architecture]  # reason`, or a package stands there twice.
    """
    names: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise InputError(f"{where}:{number}: {line!r} came, `package  # reason` was allowed")
        if match["architecture"] in (None, architecture):
            names.append(match["name"])
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{where}: {', '.join(twice)}: listed twice")
    return tuple(names)


def read(path: Path, architecture: str) -> tuple[str, ...]:
    """The packages of a file.

    Raises:
        InputError: as `parse`.
    """
    return parse(path.read_text(encoding="utf-8"), architecture, where=path.name)
