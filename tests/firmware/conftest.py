"""Makes the firmware's modules importable by the names that they have on the board."""

from __future__ import annotations

import sys
from pathlib import Path

FIRMWARE = str(Path(__file__).parents[2] / "firmware")

# Last, so that a folder there never hides a package of the environment.
if FIRMWARE not in sys.path:
    sys.path.append(FIRMWARE)
DEVICE = str(Path(__file__).parent / "device")
if DEVICE not in sys.path:
    sys.path.append(DEVICE)
