"""`python -m collector_client` is `vedette-collector`."""

from __future__ import annotations

import sys

from collector_client.cli import main

if __name__ == "__main__":
    sys.exit(main())
