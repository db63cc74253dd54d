"""`python -m firmware.uf2`: make the supervisor's flash images, or make them twice and compare.

Rules of this file: arguments, exit codes and what is told; each command's work is a module beside it.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from firmware.uf2.build import TREE, Plan, build, check, tree_epoch, tree_version
from firmware.uf2.errors import BuildError
from firmware.uf2.lock import alone
from firmware.uf2.sums import SUMS
from tests.conformance.debian13 import cache

EXAMPLES = """\
examples:
  python -m firmware.uf2 build            # the images, in dist/firmware
  python -m firmware.uf2 check            # twice, in two folders, and compare

exit codes: 0 done; 1 it does not build or does not hold; 2 wrong arguments; 4 this machine cannot do it
"""


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="python -m firmware.uf2",
        description="The supervisor's flash images, from Debian's source packages.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=("build", "check"), help="make them; or make them twice and compare")
    parser.add_argument("--cache", metavar="DIR", type=Path, default=cache() / "firmware", help="default: %(default)s")
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default=TREE / "dist/firmware", help="default: dist/firmware"
    )
    parser.add_argument("--tree", metavar="DIR", type=Path, default=TREE, help="what is frozen (default: this tree)")
    return parser


def tell(text: str) -> None:
    """A line for a person."""
    print(f"firmware: {text}", file=sys.stderr, flush=True)


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    # A build that is ended takes the compiler that it started with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    args = build_parser().parse_args(argv)
    plan = Plan(args.cache.resolve(), args.out.resolve(), tree_version(), tree_epoch(), args.tree.resolve())
    try:
        with alone(plan.cache, tell):
            differ = check(plan, tell) if args.command == "check" else []
            if args.command == "build":
                build(plan, tell)
    except BuildError as error:
        tell(str(error))
        if error.advice:
            tell(error.advice)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    for name in differ:
        tell(f"{name}: the two builds differ")
    if differ:
        return 1
    for line in (plan.out / SUMS).read_text(encoding="ascii").splitlines():
        file = plan.out / line.split()[1]
        print(f"{line}  {file.stat().st_size} octets")
    tell(f"{'the same twice, and now' if args.command == 'check' else 'made,'} in {plan.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
