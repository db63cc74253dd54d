"""SHA256SUMS and the record of a build: what `sha256sum --check` reads, and what the files were made of.

Rules of this file: names and sums; what is equal is equal in every octet.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from firmware.uf2.sources import Source, sha256_of

SUMS = "SHA256SUMS"
RECORD = "BUILD.json"


def sums_text(sums: Mapping[str, str]) -> str:
    """In sha256sum's own form, sorted by name."""
    return "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))


def sums_of(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """The sums of some files of a folder."""
    return {name: sha256_of(folder / name) for name in names}


def differing(first: Mapping[str, str], second: Mapping[str, str]) -> list[str]:
    """The names that two builds do not have alike."""
    return sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))


def record_text(version: str, epoch: int, sources: Iterable[Source], frozen: str, packages: Mapping[str, str]) -> str:
    """What a build was made of, for whoever makes it again: sources by sum, tools by version."""
    made_of = {
        "version": version,
        "source_date_epoch": epoch,
        "sources": {s.package: {"version": s.version, "archive": s.archive, "sha256": s.sha256} for s in sources},
        "pypi": [line for line in frozen.replace("\\\n", "").splitlines() if line and not line.startswith("#")],
        "tools": dict(sorted(packages.items())),
    }
    return json.dumps(made_of, indent=2) + "\n"
