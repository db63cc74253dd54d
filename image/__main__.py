"""`python -m image`: make keys and images, compare builds, try them in virtual machines.

Rules of this file: arguments, exit codes and what is told; each command's work is a module beside it.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from appliance.wire.bundle import is_version
from image import drills, mirror, tools
from image.bench import Bench
from image.build import DRILL, Plan, build, check, tree_epoch, tree_version
from image.bundle import make_bundle
from image.cache import TREE, Cache, default_cache
from image.errors import HostError, ImageError, InputError
from image.keys import Keys, make_development_keys
from image.layout import MIB
from image.wheels import MACHINES, host_architecture

EXAMPLES = """\
examples:
  python -m image keys                    # a development set of keys, once
  python -m image build                   # the image, in dist/image
  python -m image check                   # twice, and compare
  python -m image boot                    # once in a virtual machine, until it says that it is healthy

exit codes: 0 done; 1 it does not hold; 2 the input cannot be used; 4 this machine cannot do it
"""


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="python -m image",
        description=(__doc__ or "").partition("\n")[0],
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--cache", metavar="DIR", type=Path, help="where downloads and trees are kept (default: ~/.cache/vedette/image)"
    )
    parser.add_argument(
        "--arch",
        choices=sorted(MACHINES),
        default=host_architecture(),
        help="the box's architecture (default: this machine's)",
    )
    parser.add_argument(
        "--keys", metavar="DIR", type=Path, help="keys to sign with (default: development keys in the cache)"
    )
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default=Path("dist/image"), help="where the image goes (default: dist/image)"
    )
    parser.add_argument(
        "--image-version", metavar="V", default=tree_version(), help="version of the image (default: the tree's)"
    )
    parser.add_argument(
        "--drill",
        action="store_true",
        help="an image that takes commands from its machine, in OUT-drill; never ship it",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    commands.add_parser("keys", help="make a set of development keys, if there is none")
    made = commands.add_parser("build", help="make the image")
    made.add_argument("--no-download", action="store_true", help="leave the compressed form out")
    commands.add_parser("bundle", help="pack the image that was made as one signed update for boxes that run already")
    twice = commands.add_parser(
        "check", help="make it twice and compare root, hash tree, initrd and unsigned kernel file"
    )
    twice.add_argument("--fresh-base", action="store_true", help="also make the base tree anew for the second")
    for name, drill in drills.DRILLS.items():
        made = commands.add_parser(name, help=(drill.__doc__ or "").partition("\n")[0])
        made.add_argument(
            "--timeout", metavar="S", type=float, default=600, help="longest wait for a stage (default: 600)"
        )
        made.add_argument("--count", metavar="N", type=int, default=3, help="how often the power is cut (default: 3)")
        made.add_argument(
            "--starts",
            metavar="N",
            type=int,
            default=1,
            help="update-power: how many of the cuts are started (default: 1)",
        )
        made.add_argument("--seed", metavar="N", type=int, default=1, help="of random moments (default: 1)")
    return parser


def tell(text: str) -> None:
    """A line for a person."""
    print(text, file=sys.stderr, flush=True)


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    args = build_parser().parse_args(argv)
    # A drill that is ended takes its machines along.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    cache = Cache(args.cache.resolve()) if args.cache else default_cache()
    try:
        return run(args, cache)
    except ImageError as error:
        tell(f"image: {error}")
        if error.advice:
            tell(f"       {error.advice}")
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def run(args: argparse.Namespace, cache: Cache) -> int:
    """Run one command.

    Raises:
        ImageError: it did not succeed.
    """
    keys = Keys((args.keys or cache.keys).resolve())
    out = args.out.resolve()
    for option, path in (("--out", out), ("--keys", keys.folder)):
        if not any(path.is_relative_to(seen) for seen in (TREE, cache.folder)):
            raise InputError(
                f"{option} {path} came; a folder of the tree or of the cache was allowed",
                advice="the build's programs see no others; copy afterwards",
            )
    if args.command == "keys":
        inside = tools.ready(cache, mirror.configured(), args.arch)
        made = make_development_keys(inside, keys.folder)
        tell(f"{keys.folder}: {'made' if made else 'there already'}")
        return 0
    if not is_version(args.image_version):
        raise InputError(f"--image-version {args.image_version!r} came, numbers such as 0.1.0 or 0.1.0-2 were allowed")
    plan = Plan(
        architecture=args.arch,
        version=args.image_version,
        epoch=tree_epoch(),
        keys=keys,
        target=out.with_name(f"{out.name}-drill") if args.drill else out,
        extra=(DRILL,) if args.drill else (),
        compress=args.command == "build" and not (args.no_download or args.drill),
    )
    if args.command == "build":
        build(cache, plan, tell)
        tell(f"made: {plan.target}")
        return 0
    if args.command == "bundle":
        inside = tools.ready(cache, mirror.configured(), args.arch)
        keys.check()
        path = make_bundle(
            inside, keys, plan.target, version=plan.version, architecture=plan.architecture, epoch=plan.epoch
        )
        tell(f"made: {path} ({path.stat().st_size / MIB:.1f} MiB)")
        return 0
    if args.command == "check":
        differing = check(cache, plan, tell, fresh_base=args.fresh_base)
        for name, (first, second) in differing.items():
            tell(f"differs: {name}: {first} {second}")
        if not differing:
            tell("both builds have the same root, hash tree, initrd and unsigned kernel file")
        return 1 if differing else 0
    if args.arch != host_architecture():
        raise HostError(
            f"an image for {args.arch} on {host_architecture()} came; only this machine's own is tried here"
        )
    inside = tools.ready(cache, mirror.configured(), args.arch)
    drills.run(Bench(inside, keys, plan, tell, args.timeout, args.count, args.starts, args.seed), args.command)
    return 0


if __name__ == "__main__":
    sys.exit(main())
