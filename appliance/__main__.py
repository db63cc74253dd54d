"""`python -m appliance` is `vedette`, and where its script begins."""

from __future__ import annotations

import sys

try:
    from appliance.cli import main
except KeyboardInterrupt:  # Ctrl-C while the program is still loading
    sys.exit(130)

if __name__ == "__main__":
    sys.exit(main())
