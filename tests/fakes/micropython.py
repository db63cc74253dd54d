"""Where set-up has put Debian 13's MicroPython, and how the firmware runs on it.

Rules of this file: the program and its module path; what it is told is each test's own.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[2]
MICROPYTHON = Path(sys.prefix) / "lib" / "micropython" / "micropython"


def environment(library: Path) -> dict[str, str]:
    """What MicroPython is started with.

    Args:
        library: a folder of the test's own; `senml` is linked into it, as the other packages are CPython's.
    """
    found = find_spec("senml")
    if found is not None and found.submodule_search_locations and not (library / "senml").exists():
        library.mkdir(parents=True, exist_ok=True)
        (library / "senml").symlink_to(found.submodule_search_locations[0])
    path = [ROOT, ROOT / "firmware", ROOT / "firmware" / "lib", ROOT / "tests" / "firmware" / "device", library]
    return {"PATH": os.environ.get("PATH", ""), "MICROPYPATH": ":".join([*map(str, path), ".frozen"])}
