"""`python -m appliance` is `vedette`, and where its script begins."""

from __future__ import annotations

import sys

try:
    from appliance.cli import main
except KeyboardInterrupt:  # Ctrl-C while the program is still loading
    sys.exit(130)
except ModuleNotFoundError as error:
    if error.name not in {"vedette_engine", "psutil", "zstandard"}:
        raise
    # The collector's side is installed alone.
    print(f"vedette: {error.name} is not installed", file=sys.stderr)
    print("         the sensor's commands need it: pip install 'vedette[sensor]'", file=sys.stderr)
    sys.exit(4)

if __name__ == "__main__":
    sys.exit(main())
