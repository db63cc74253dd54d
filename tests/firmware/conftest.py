"""Makes the firmware's modules importable by the names that they have on the board."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

# Last, so that a folder there never hides a package of the environment.
for folder in (ROOT / "firmware", ROOT / "firmware" / "lib", ROOT / "tests" / "firmware" / "device"):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
