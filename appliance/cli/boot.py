"""`vedette boot`: what the image's services say of a start of the box, for the boot loader's count and the collector.

Rules of this file: argument handling and telling; the work is `appliance.update`. What it prints goes to the console.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

from appliance.cli.options import EXIT_CODES, formatter, tell
from appliance.update import State, begin_boot, boot_is_bad, boot_is_good, end_boot
from appliance.update.here import note_fall_back, seen, this_box

DESCRIPTION = """\
For the services of the image: `begin` early in a start, `good` or `bad` when its health is known, `end` when the
box goes down in order. Keeps the boot loader's tries (three, given back by a good start) and the reason of each
fall back. `bad` prints restart or stay."""
EXAMPLES = """\
examples:
  vedette boot begin
  vedette boot bad --words "vedette.service is failed"
"""


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "boot",
        help="judge this start of the box (used by its services)",
        description=DESCRIPTION,
        epilog=EXAMPLES + "\n" + EXIT_CODES,
        formatter_class=formatter,
    )
    parser.add_argument("action", choices=("begin", "good", "bad", "end"))
    parser.add_argument("--words", default="", help="what the health check says")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """One of the four."""
    box = this_box()
    # While the box goes down, nothing mounts the ESP any more; a verdict is due also when it cannot be read.
    now = seen(box, time.time_ns(), esp=args.action in ("begin", "good"))
    if args.action == "bad":
        print("restart" if boot_is_bad(box, now, args.words, on_fault=lambda fault: tell(str(fault))) else "stay")
        return 0
    if args.action == "begin":
        record = begin_boot(box, now)
        tries = ", ".join(entry.name for entry in now.entries)
        print(f"VEDETTE boot: version {now.version}, update {record.state.value}, on the ESP {tries}")
        if record.state is State.FELL_BACK and record.outcomes:
            last = record.outcomes[-1]
            print(f"VEDETTE boot: {last.kind} {last.version}: {last.reason}")
        if record.boot.boot_id == now.boot_id and record.state is State.FELL_BACK and record.since_ns == now.now_ns:
            note_fall_back(record)
        return 0
    record = boot_is_good(box, now) if args.action == "good" else end_boot(box, now)
    print(f"VEDETTE boot: {args.action}, update {record.state.value}")
    return 0
