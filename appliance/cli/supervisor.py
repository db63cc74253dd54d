"""`vedette supervisor ...`: look at the microcontroller that guards the box's power, pair with it, hold it, update it.

Rules of this file: argument handling and printing. Where the daemon runs it has the port, so it is asked
(`daemon.control`); else the port is opened here. The words on the link are `mcu`'s.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import secrets
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from appliance.cli.options import EXIT_CODES, add_config_option, formatter, tell
from appliance.cli.reach import asked, greeted, keys_of, listening, progress, state_dir
from appliance.cli.status import shown
from appliance.cli.waiting import run_wait
from appliance.config import load_config
from appliance.daemon import ReachedElement
from appliance.daemon.control import CONTROL_SOCKET, order
from appliance.daemon.status import ask_status
from appliance.errors import EnvironmentFault, OperatorError
from appliance.identity import ElementKeyStore
from appliance.mcu import NoAnswerError, State, make_link_key
from appliance.mcu.orders import hold, pair, update
from appliance.mcu.upgrade import MAX_BYTES, Firmware
from appliance.wire import mcu_words as words
from appliance.wire.mcu_link import fingerprint

NOT_LISTENING = {state.value for state in State} - {State.UP.value}
EXAMPLES = {
    "info": """\
  vedette supervisor info
  vedette supervisor info --json | jq -r .last_reset
""",
    "element": """\
  vedette supervisor element
  vedette supervisor element --json | jq -r .key_sha256   # for the provider: vedette-collector token new --key
""",
    "pair": "  vedette supervisor pair\n",
    "hold": """\
  vedette supervisor hold 600 service   # ten minutes in which the box may stand still
  vedette supervisor hold 0 service     # over
""",
    "update": """\
  vedette supervisor update supervisor-rp2350-1.2.0.vfw
  vedette supervisor update new.vfw --firmware-version 1.2.0
""",
    "restarting": "  ExecStopPost=-/usr/bin/vedette supervisor restarting\n",
    "wait": "  vedette supervisor wait   # ExecStart= of a unit with Type=notify and WatchdogSec=\n",
}
DESCRIPTIONS = {
    "info": "What the supervisor says of itself and of the box: its state, why the box was last started, how often in a"
    " row, voltage\nand temperature. Exit 1 when no supervisor listens.",
    "element": "At manufacture, on a board with a secure element: its serial number and the digest of its key, which is"
    " made now if\nthere is none. The provider pins that digest in the box's token: an element cannot prove that"
    " it is one.",
    "pair": "At manufacture, or after the supervisor was made to forget its key by a hand at its button: give it this"
    " box's key. With\nthe sensor's key in a TPM the TPM makes that key, and nothing of it is on the disk; else it is a"
    " file. Paired already is\nno error. The daemon must be at rest.",
    "hold": "Have the supervisor not judge for so many seconds (at most an hour, and once for each steady run). 0 ends"
    " it.",
    "update": "Give the supervisor another firmware, over the link. It starts with it on trial, keeps it after a minute"
    " of healthy beats,\nand else goes back to the one before by itself.",
    "restarting": "For systemd, after the daemon's end, whatever that was: the supervisor gives the box the time of a"
    " boot to be well again.",
    "wait": "Beat for a box that waits to be set up, where no daemon runs yet: nothing is watched, so nothing can stand"
    " still. Tells\nstates and events for the box's console, in lines that begin with VEDETTE. Runs until it is ended.",
}
HELP = {
    "info": "what the supervisor says",
    "element": "the secure element's key, for the provider",
    "pair": "give the supervisor this box's key",
    "hold": "have it not judge for a while",
    "update": "give it another firmware",
    "restarting": "say that the daemon comes again",
    "wait": "beat for a box that waits for its setup",
}


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "supervisor",
        help="the microcontroller that guards the box's power",
        description="The supervisor cuts the box's power for a moment when nobody says any more that it is alive.",
        formatter_class=formatter,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    runs: dict[str, Callable[[argparse.Namespace], int]] = {
        "info": run_info, "element": run_element, "pair": run_pair, "hold": run_hold, "update": run_update,
        "restarting": run_restarting, "wait": run_wait,
    }  # fmt: skip
    for name, run in runs.items():
        action = actions.add_parser(
            name,
            help=HELP[name],
            description=DESCRIPTIONS[name],
            epilog=f"examples:\n{EXAMPLES[name]}\n{EXIT_CODES}",
            formatter_class=formatter,
        )
        add_config_option(action)
        if name in ("info", "element", "pair", "hold", "update"):
            action.add_argument("--json", action="store_true", help="print one JSON object")
        if name == "hold":
            action.add_argument("seconds", metavar="SECONDS", type=int, help="how long, from now; 0: no longer")
            action.add_argument("reason", metavar="REASON", choices=words.HOLDS, help=f"why: {', '.join(words.HOLDS)}")
        if name == "wait":
            action.add_argument(
                "--pressed", metavar="FILE", type=Path, help="make this file when the button is held for three seconds"
            )
        if name == "update":
            action.add_argument("file", metavar="FILE", type=Path, help="a .vfw file for this board")
            action.add_argument(
                "--firmware-version", metavar="X.Y.Z", default="", help="its version (default: the one in its name)"
            )
        action.set_defaults(run=run)


def run_info(args: argparse.Namespace) -> int:
    """Print what is known."""
    config = load_config(args.config)
    try:
        said = dict(ask_status(state_dir(config) / "run" / "status.sock")["supervisor"])
    except EnvironmentFault:
        said = asdict(asked(config))
        del said["is_up"]
    if args.json:
        print(json.dumps(said, indent=1))
    else:
        for name, value in said.items():
            print(f"{name:24} {shown(list(value) if isinstance(value, tuple) else value)}")
    return 1 if said["state"] in NOT_LISTENING else 0


def run_element(args: argparse.Namespace) -> int:
    """Print what the provider pins."""
    element = ReachedElement(load_config(args.config))
    key = ElementKeyStore(element).element_key()
    digest, serial = hashlib.sha256(key.spki_der()).hexdigest(), element.serial().hex()
    if args.json:
        print(json.dumps({"serial": serial, "key_sha256": digest}))
    else:
        print(f"{'serial':24} {serial}\n{'key_sha256':24} {digest}")
    return 0


def run_pair(args: argparse.Namespace) -> int:
    """Make the pair's key, give it, and see that it works."""
    config = load_config(args.config)
    keys = keys_of(config)
    supervisor, status = greeted(config, None)
    is_new = status.state == State.UNPAIRED.value
    with closing(supervisor):
        if is_new:
            # On the disk, or known to come from the TPM, before the supervisor has it: a power cut parts nobody.
            pair(supervisor.ask_here, status, make_link_key(keys, state_dir(config), secrets.token_bytes))
    status = asked(config)
    if not status.is_up:
        raise NoAnswerError(f"supervisor: {status.state}: {status.says}", advice="was it paired with another box?")
    mark = fingerprint(make_link_key(keys, state_dir(config), secrets.token_bytes)).hex()
    if args.json:
        print(json.dumps({"paired_now": is_new, "fingerprint": mark, "serial": status.serial, "board": status.board}))
    else:
        print(f"paired{'' if is_new else ' before'}: supervisor {status.serial} ({status.board}), key {mark}")
    return 0


def run_hold(args: argparse.Namespace) -> int:
    """Hold, by the daemon or without it."""
    config = load_config(args.config)
    request = {"do": "hold", "seconds": args.seconds, "reason": args.reason}
    done = order(state_dir(config) / "run" / CONTROL_SOCKET, request)
    if done is None:
        supervisor, _ = listening(config)
        with closing(supervisor):
            done = {"granted_s": hold(supervisor.ask_here, args.seconds, args.reason)}
    if args.json:
        print(json.dumps(done))
        return 0
    print(f"held for {done['granted_s']} s from now" if done["granted_s"] else "not held any more")
    if done["granted_s"] < args.seconds:
        tell(f"{args.seconds} s were asked for; the supervisor grants no more")
    return 0


def run_update(args: argparse.Namespace) -> int:
    """Send a firmware, with progress."""
    config = load_config(args.config)
    try:
        with args.file.open("rb") as file:
            firmware = Firmware.parse(args.file.name, file.read(MAX_BYTES + 1), args.firmware_version)
            request = {"do": "update", "name": args.file.name, "version": firmware.version_text}
            done = order(state_dir(config) / "run" / CONTROL_SOCKET, request, file.fileno(), progress)
    except OSError as error:
        raise OperatorError(f"{args.file}: {error.strerror}") from error
    if done is None:
        supervisor, status = listening(config)
        with closing(supervisor):
            update(supervisor.ask_here, status, firmware, progress)
    if args.json:
        print(json.dumps({"version": firmware.version_text, "on_trial": True}))
        return 0
    print(f"firmware {firmware.version_text} is written and starts on trial")
    tell("it stays after a minute of healthy beats, else the one before comes back: vedette supervisor info")
    return 0


def run_restarting(args: argparse.Namespace) -> int:
    """Say once that the daemon comes again."""
    status = asked(load_config(args.config), (words.DRAINING, 0, 0))
    tell(f"supervisor {status.state}: {status.says}")
    return 0
