"""`vedette update`: a new version of the whole box, from a file, a stick or the collector.

Rules of this file: argument handling and telling; the work is `appliance.update`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from appliance.cli.held import held
from appliance.cli.options import EXIT_CODES, add_config_option, formatter, tell
from appliance.config import load_config
from appliance.errors import EnvironmentFault, OperatorError
from appliance.update import Bundle, Order, forget_fetched, install
from appliance.update.fetched import Fetched, read_fetched
from appliance.update.here import KEYS_FOLDER, image_version, memory, note_restart, this_box, update_keys
from appliance.update.stick import bundle_on_stick

HOLD_S = 600
"""For which a supervisor's board does not judge: writing may leave too little of the box for its beats."""
DESCRIPTION = """\
Write a new version of the whole system into the slot that is not running, and have it started next. The bundle
must be signed by a key of this box's image. What runs is not touched; a new version that does not get healthy in
three starts is left by itself, and the collector is told why. `status` in place of FILE tells how it stands."""
EXAMPLES = """\
examples:
  vedette update vedette-update_0.2.0_amd64.bundle --check     # only look: signature, every byte, what it is
  vedette update vedette-update_0.2.0_amd64.bundle --restart
  vedette update --from-stick --restart            # the bundle on a USB stick
  vedette update --fetched --restart               # what the sensor has fetched from its collector
  vedette update status --json | jq -r .state
"""


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "update",
        help="install a new version of this box, or tell how its update stands",
        description=DESCRIPTION,
        epilog=EXAMPLES + "\n" + EXIT_CODES,
        formatter_class=formatter,
    )
    add_config_option(parser)
    parser.add_argument("file", metavar="FILE|status", nargs="?", help="the bundle; or the word status")
    parser.add_argument("--from-stick", action="store_true", help="take the bundle from a USB stick; none is no error")
    parser.add_argument("--fetched", action="store_true", help="take what was fetched from the collector")
    parser.add_argument("--check", action="store_true", help="check the bundle and show what it is; no change")
    parser.add_argument("--older", action="store_true", help="also when a newer version runs (never below the floor)")
    parser.add_argument("--again", action="store_true", help="also when this box fell back from this bundle")
    parser.add_argument("--restart", action="store_true", help="start the box again when it is written")
    parser.add_argument(
        "--keys", metavar="DIR", type=Path, default=KEYS_FOLDER, help="for --check: public keys (default: the image's)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Install, look, or tell."""
    if sum((args.file is not None, args.from_stick, args.fetched)) != 1:
        raise OperatorError("none or several of FILE, --from-stick, --fetched came", advice="One says where from.")
    if args.file == "status":
        return tell_status(args)
    with ExitStack() as stack:
        fetched = Fetched()
        if args.from_stick:
            path = stack.enter_context(bundle_on_stick())
            if path is None:
                tell("no bundle on a stick")
                return 0
        elif args.fetched:
            folder = fetched_folder(args)
            fetched = read_fetched(folder)
            path = fetched.bundle(folder)
            # Installed or refused, it is done with: the same would come of it again.
            stack.callback(forget_fetched, fetched.ticket(folder), path)
        else:
            path = Path(args.file)
        if args.check:
            return check(path, args)
        return write(path, args, fetched)


def fetched_folder(args: argparse.Namespace) -> Path:
    """Where the daemon puts what it has fetched."""
    return Path(load_config(args.config).sensor.state_dir) / "update"


def check(path: Path, args: argparse.Namespace) -> int:
    """Look at a bundle and show what it is."""
    with Bundle.open(path, update_keys(args.keys)) as bundle:
        bundle.check()
        manifest = bundle.manifest
        said = {
            "version": manifest.version,
            "architecture": manifest.architecture,
            "security_floor": manifest.security_floor,
            "root_hash": manifest.root_hash,
            "signed_by": bundle.key_name,
            "bytes": sum(part.size_bytes for part in manifest.parts),
            "stored_bytes": manifest.stored_bytes,
        }
    show(said, args)
    return 0


def write(path: Path, args: argparse.Namespace, fetched: Fetched) -> int:
    """Write a bundle, and start the box again when that is wanted."""
    order = Order(fetched.update_id, older=args.older or fetched.older, again=args.again)
    box, on_progress = this_box(), teller(tell, time.monotonic)
    with held(args.config, HOLD_S, "update"):
        record = install(path, box, order, now_ns=time.time_ns(), random=os.urandom, on_progress=on_progress)
    show({"version": record.version, "state": record.state.value, "restart": args.restart}, args)
    if args.restart:
        note_restart(f"update to {record.version}")
        restart()
    else:
        tell("next: restart the box")
    return 0


def teller(say: Callable[[str], None], monotonic_s: Callable[[], float]) -> Callable[[int, int], None]:
    """Progress as lines, a tenth at a time."""
    started_s, told = monotonic_s(), [-1]

    def on_progress(done: int, total: int) -> None:
        tenth = 10 * done // total
        if tenth > told[0]:
            told[0] = tenth
            say(f"written {done >> 20} of {total >> 20} MiB in {monotonic_s() - started_s:.0f} s")

    return on_progress


def restart() -> None:
    """Start the box again, in order.

    Raises:
        EnvironmentFault: systemd does not.
    """
    ended = subprocess.run(["systemctl", "reboot"], capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise EnvironmentFault(f"systemctl reboot: {ended.stderr.strip()}", advice="Restart the box by hand.")


def tell_status(args: argparse.Namespace) -> int:
    """How it stands."""
    record = memory().read()
    said = {
        "running": image_version(),
        "state": record.state.value,
        "version": record.version,
        "reason": record.reason,
        "good_version": record.good_version,
        "security_floor": record.floor,
        "outcomes": [
            {"number": o.number, "at_ns": o.at_ns, "kind": o.kind, "version": o.version, "reason": o.reason}
            for o in record.outcomes
        ],
    }
    show(said, args)
    return 0


def show(said: dict[str, Any], args: argparse.Namespace) -> None:
    """For a program or a person."""
    if args.json:
        print(json.dumps(said))
        return
    for name, value in said.items():
        if isinstance(value, list):
            for outcome in value:
                print(f"{outcome['kind']} {outcome['version']}: {outcome['reason'] or '-'}")
        else:
            print(f"{name + ':':<16}{('no', 'yes')[value] if isinstance(value, bool) else value or '-'}")
