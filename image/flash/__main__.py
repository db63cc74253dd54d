"""`python -m image.flash`, and what the single file runs: see `cli.py`."""

import sys

from image.flash.cli import main

if __name__ == "__main__":
    sys.exit(main())
