"""`make conformance-est`: EST with programs that are not ours, in both roles.

    python -m tests.conformance.est [--clients DIR]

    est_clients.py   strongSwan's pki and libest's estclient enroll and renew at the collector
    est_server.py    the appliance enrolls and renews at libest's estserver

Rules of this file: Nothing is skipped: what cannot be had fails.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from appliance.errors import ApplianceError
from tests.conformance.est_chroot import ConformanceError, ensure
from tests.conformance.est_clients import bench_in, libest, strongswan
from tests.conformance.est_server import estserver


def at_the_collector(client: Callable[..., Iterator[str]]) -> Callable[[Path], Iterator[str]]:
    """A client's steps at a collector of their own."""

    def steps(root: Path) -> Iterator[str]:
        with bench_in(root) as bench:
            yield from client(bench)

    return steps


PARTS: dict[str, Callable[[Path], Iterator[str]]] = {
    "strongSwan": at_the_collector(strongswan),
    "libest": at_the_collector(libest),
    "estserver": estserver,
}


def main() -> int:
    """Run every part; 0 when all got what they must get."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser = argparse.ArgumentParser(description="EST programs that are not ours against collector and appliance.")
    parser.add_argument("--clients", type=Path, default=cache / "vedette" / "est-clients", help="where they are kept")
    root: Path = parser.parse_args().clients.absolute()
    failed = 0
    try:
        ensure(root)
        for name, steps in PARTS.items():
            try:
                for step in steps(root):
                    print(f"ok      {step}")
            except (ConformanceError, ApplianceError, ValueError, subprocess.TimeoutExpired) as error:
                failed += 1
                print(f"FAILED  {name}: {error}")
    except (ConformanceError, OSError, subprocess.SubprocessError) as error:
        print(f"FAILED  {error}")
        return 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
