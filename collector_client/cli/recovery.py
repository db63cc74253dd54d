"""`vedette-collector recovery-key`: the key that opens a box's disk, shown once.

Rules of this file: argument handling and printing only. The key goes to standard output alone.
"""

from __future__ import annotations

import argparse
import getpass
import sys
from contextlib import closing
from typing import Any

from appliance.wire.enrollment import parse_sensor_id
from appliance.wire.recovery import RecoveryKey
from appliance.wire.session import SessionError
from collector_client.cli.options import add_command, add_directory, add_json, hint, print_json
from collector_client.errors import OperatorError
from collector_client.ingest.escrow import Escrow
from collector_client.store import Control
from collector_client.store.clock import SystemClock

_EXAMPLES = """\
  vedette-collector recovery-key /var/lib/vedette-collector s-fryock32azdpsitz6qt4
"""


def add(commands: Any) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "recovery-key",
        "show the key that opens a box's disk, once",
        _EXAMPLES,
        description="A box with the image makes a recovery key for its /var when it is set up, and hands it over. It"
        " opens the\ndisk on another machine when the box or its TPM is gone. Shown once, then forgotten here: put it"
        " where the\nprovider keeps such things. Exit 1: none waits (not handed over yet, or shown already).",
    )
    add_directory(parser)
    parser.add_argument("sensor", metavar="SENSOR", help="the sensor's id, as `sensors` shows it")
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Show it and forget it."""
    try:
        sensor_id = parse_sensor_id(args.sensor)
    except SessionError as error:
        raise OperatorError(str(error), advice="list them: vedette-collector sensors") from error

    def tell(key: RecoveryKey) -> None:
        if args.json:
            print_json({"sensor_id": sensor_id, "volume": key.volume, "key": key.key})
        else:
            print(key.key)
        # What stays in a buffer may never be seen.
        sys.stdout.flush()

    with closing(Control.open(args.directory)) as control:
        shown = Escrow(args.directory, control, SystemClock()).show(sensor_id, getpass.getuser(), tell)
    if not shown:
        if args.json:
            print_json({"sensor_id": sensor_id, "volume": None, "key": None})
        hint(f"no recovery key of {sensor_id} waits here: not handed over yet, or shown already (see the audit log)")
        return 1
    if not args.json:
        hint(f"opens the disk of {sensor_id}; forgotten here now. On another machine:")
        hint("  cryptsetup open /dev/disk/by-partlabel/var var   # type the key as it stands, with its dashes")
    return 0
