"""`make conformance-est`: EST with programs that are not ours, in both roles.

    python -m tests.conformance.est [--clients DIR]

    est_clients.py   strongSwan's pki and libest's estclient enroll and renew at the collector
    est_server.py    the appliance enrolls and renews at libest's estserver

Rules of this file: Nothing is skipped: what cannot be had fails.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from appliance.errors import ApplianceError
from tests.conformance.debian13 import DebianError, cache, ensure
from tests.conformance.est_clients import ConformanceError, bench_in, libest, strongswan
from tests.conformance.est_server import estserver

PACKAGES = "strongswan-pki,libest-utils,ca-certificates"


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
    parser = argparse.ArgumentParser(description="EST programs that are not ours against collector and appliance.")
    parser.add_argument("--clients", type=Path, default=cache() / "est-clients", help="where they are kept")
    root: Path = parser.parse_args().clients.absolute()
    failed = 0
    try:
        ensure(root, PACKAGES)
        for name, steps in PARTS.items():
            try:
                for step in steps(root):
                    print(f"ok      {step}")
            except (ConformanceError, ApplianceError, ValueError, subprocess.TimeoutExpired) as error:
                failed += 1
                print(f"FAILED  {name}: {error}")
    except (DebianError, OSError, subprocess.SubprocessError) as error:
        print(f"FAILED  {error}")
        return 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
