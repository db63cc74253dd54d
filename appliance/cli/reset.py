"""`vedette reset`: the box forgets who it was, and waits for a new token.

Rules of this file: argument handling, the question, and printing; the work is `appliance.reset`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from appliance.cli.options import EXIT_CODES, add_config_option, formatter, tell
from appliance.config import Config, load_base
from appliance.daemon import identity_folder
from appliance.errors import OperatorError
from appliance.reset import Done, Order, finish, reset

EXAMPLES = """\
examples:
  vedette reset                                    # asks for the sensor's id
  vedette reset --sensor s-fryock32azdpsitz6qt4    # the same without a question
  vedette reset --yes --lose-events --json
"""


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "reset",
        help="factory reset: forget the identity and everything kept",
        description="Factory reset. Removes keys, certificates, the spool, compiled rules, the stick's input and the"
        " token file; the\nconfiguration stays. Needs the sensor's id or --yes. Refuses while the daemon runs, and"
        " while events wait\nthat the collector has not stored. Without power half-way, it goes on at the next start.\n"
        "The keys that the box was made with (IDevID, AK) stay in its TPM: by them the operator knows the box again\n"
        "(vedette-collector token new --for SENSOR). --clear-tpm makes every other key of the TPM worthless, so that"
        " not\neven a copy of the disk could use them in this box; also those of others, such as a disk's encryption.",
        epilog=EXAMPLES + "\n" + EXIT_CODES,
        formatter_class=formatter,
    )
    add_config_option(parser)
    parser.add_argument("--sensor", metavar="ID", help="the id of the sensor that this box is; no question is asked")
    parser.add_argument("--yes", action="store_true", help="reset whatever this box is")
    parser.add_argument("--lose-events", action="store_true", help="give up events that are not delivered")
    parser.add_argument("--clear-tpm", action="store_true", help="also clear the TPM (TPM2_Clear)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Reset the box."""
    # What a stick has set goes away with the rest, and may be the very thing that is damaged.
    config = load_base(args.config)
    confirm = None if args.yes else args.sensor or ask(sys.stdin.isatty(), input)
    order = Order(confirm, lose_events=args.lose_events, clear_tpm=args.clear_tpm)
    done = reset(state_dir(config), identity_folder(config).keys, order, token_file=token_file(config), on_step=tell)
    if args.json:
        print(json.dumps(asdict(done)))
    else:
        print(f"reset: {done.sensor_id or 'this box'} is no sensor any more; {lost(done)}")
        if done.left:
            tell(f"left as it is: {', '.join(done.left)} ({config.sensor.state_dir})")
        tell("next: the operator makes a token (to keep the history: vedette-collector token new --for SENSOR);")
        tell("      put it into [collector], then: vedette enroll")
    return 0


def ask(terminal: bool, question: Callable[[str], str]) -> str:
    """The sensor's id from a person.

    Raises:
        OperatorError: nobody can be asked, or nothing was said.
    """
    if not terminal:
        raise OperatorError("neither --sensor ID nor --yes came", advice="one of them says that the reset is meant")
    said = question("This removes the sensor's identity and all that it keeps. Its id (see vedette status): ").strip()
    if not said:
        raise OperatorError("no id came; nothing was removed")
    return said


def lost(done: Done) -> str:
    """What became of undelivered events, in words."""
    if done.events_lost is None:
        return "its spool could not be read: what waited in it is lost"
    return f"{done.events_lost} undelivered events are lost" if done.events_lost else "no event was lost"


def finish_reset(config: Config) -> None:
    """Before a box starts or enrolls: carry on with a reset that lost its power.

    Raises:
        ApplianceError: it cannot be finished.
    """
    done = finish(state_dir(config), identity_folder(config).keys, token_file=token_file(config), on_step=tell)
    if done is not None:
        tell(f"a reset was carried on and is done; {lost(done)}")


def state_dir(config: Config) -> Path:
    """The folder that is reset."""
    return Path(config.sensor.state_dir)


def token_file(config: Config) -> Path | None:
    """The file of the used token."""
    return Path(config.collector.token_file) if config.collector.token_file else None
