"""`make flash-tool`: everything of `vedette-flash` as one file that any Python from 3.9 on runs.

Rules of this file: two runs make the same bytes: names in order, one date. Only what is listed goes in.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAME = "vedette-flash.pyz"
WIRE = ("enrollment", "fields", "setup_file", "setup_values")
"""Modules of `appliance.wire` that say whether a box will take the settings."""
START = "import sys\n\nfrom image.flash.cli import main\n\nsys.exit(main())\n"
_DATE = (1980, 1, 1, 0, 0, 0)


def members() -> dict[str, bytes]:
    """Name in the file -> content."""
    paths = [ROOT / "image/__init__.py", ROOT / "appliance/__init__.py", ROOT / "appliance/wire/__init__.py"]
    paths += [path for path in (ROOT / "image/flash").glob("*.py") if path.name != "pyz.py"]
    paths += [ROOT / f"appliance/wire/{name}.py" for name in WIRE]
    found = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in paths}
    return {"__main__.py": START.encode(), **dict(sorted(found.items()))}


def make(target: Path) -> None:
    """Write the file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        file.write(b"#!/usr/bin/env python3\n")
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members().items():
                info = zipfile.ZipInfo(name, _DATE)
                info.compress_type = zipfile.ZIP_DEFLATED
                info.external_attr = 0o644 << 16
                archive.writestr(info, content)
    target.chmod(0o755)


def main(argv: list[str]) -> int:
    """Make it where the one argument says."""
    if len(argv) != 1:
        print(f"pyz: {argv} came, the target file was allowed", file=sys.stderr)
        return 2
    make(Path(argv[0]))
    print(argv[0])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
