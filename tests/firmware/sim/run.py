"""`make firmware-sim`: the RP2040's image in an emulator, each claim told with its simulated and its wall time.

    python -m tests.firmware.sim.run [--image FILE] [--upgrade FILE] [--json]

Rules of this file: arguments, what is told, the exit code: 0 when every claim holds, 1 when one does not, 2 when there
is no image, 4 when the emulator cannot be had.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from pathlib import Path

from appliance.wire.mcu_link import LinkError
from firmware.uf2.boards import BOARDS
from firmware.uf2.build import TREE, checked
from firmware.uf2.errors import HostError, ImageError
from firmware.uf2.pypi import ensure
from tests.conformance.debian13 import cache

EMULATOR = Path(__file__).with_name("emulator.txt")
BOARD = next(board for board in BOARDS if board.name == "rp2040")


def main(argv: list[str] | None = None) -> int:
    """Run all claims."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.firmware.sim.run", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--image", metavar="FILE", type=Path, default=TREE / "dist/firmware" / BOARD.file)
    help_text = "also send this upgrade over the link: minutes, as every octet goes through the emulated UART"
    parser.add_argument("--upgrade", metavar="FILE", type=Path, help=help_text)
    parser.add_argument("--json", action="store_true", help="a JSON object for each claim instead of text")
    args = parser.parse_args(argv)
    try:
        image = checked(args.image, BOARD)
        upgrade = args.upgrade.read_bytes() if args.upgrade else b""
    except (OSError, ImageError) as error:
        print(f"firmware-sim: {error}\nmake firmware makes {BOARD.file}", file=sys.stderr)
        return 2
    try:
        sys.path.append(str(ensure(cache() / "firmware", EMULATOR)))
    except HostError as error:
        print(f"firmware-sim: {error}", file=sys.stderr)
        return 4
    # Only now can they be imported: they need the emulator, which the tree's own environment does not have.
    bench = importlib.import_module("tests.firmware.sim.bench")
    emulator = importlib.import_module("tests.firmware.sim.emulator")
    started_s = time.monotonic()
    on_bench = bench.Bench(image, upgrade)
    claims = bench.CLAIMS + (bench.UPGRADE_CLAIMS if upgrade else ())
    for claim in claims:
        began_ms, began_s = on_bench.now_ms, time.monotonic()
        name = claim.__doc__.splitlines()[0]
        try:
            saw, held = claim(on_bench), True
        except (bench.ClaimError, emulator.StuckError, LinkError) as error:
            saw, held = str(error), False
        simulated_ms, wall_s = on_bench.now_ms - began_ms, time.monotonic() - began_s
        if args.json:
            told = {"claim": name, "held": held, "saw": saw, "simulated_ms": simulated_ms, "wall_s": wall_s}
            print(json.dumps(told), flush=True)
        else:
            mark = "ok    " if held else "FAILED"
            print(
                f"{mark} {name}\n       {saw}\n       {simulated_ms:.1f} ms simulated, {wall_s:.1f} s wall", flush=True
            )
        if not held:
            return 1
    print(f"all {len(claims)} claims hold, in {time.monotonic() - started_s:.1f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
