"""`python -m collector_client.ingest DIR`: the ingest process, started by `vedette-collector serve`.

Rules of this file: arguments, signals and the parent's life line; it prints its address on standard output when it is
ready, and ends when standard input does.
"""

from __future__ import annotations

import sys
from pathlib import Path

from collector_client.child import child_arguments, run_child
from collector_client.config import load_config
from collector_client.ingest.process import Ingest
from collector_client.store.clock import SystemClock


def main() -> int:
    """Run until told to end; returns the exit code."""
    args = child_arguments("collector_client.ingest")
    directory = Path(args.directory)
    return run_child(
        lambda ready, stop: Ingest(directory, load_config(directory), SystemClock()).run(args.listen, ready, stop)
    )


if __name__ == "__main__":
    sys.exit(main())
