"""`vedette setup`: a box's first start, from the stick that the provider has prepared.

Rules of this file: argument handling and telling; the work is `appliance.setup`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from appliance.cli.options import EXIT_CODES, add_config_option, formatter, tell
from appliance.cli.reset import finish_reset
from appliance.cli.timely import enroll_as_planned
from appliance.clock import SystemClock
from appliance.config import load_base
from appliance.daemon import identity_folder
from appliance.enroll import Enrolled, EnrollmentPlan
from appliance.errors import OperatorError
from appliance.setup import Box, Outcome, StickFile, read_stick, set_up

DESCRIPTION = """\
Read vedette-setup.toml from a mounted stick, check all of it, keep what it says in the state folder, enroll,
and wipe the token there and on the stick. What is kept stands over the configuration file. May be repeated,
also after the power went: what is done stays done, and what was taken in needs the stick no more."""
EXAMPLES = """\
examples:
  vedette setup --from /media/stick                 # all of it: check, take in, enroll, wipe the token
  vedette setup --from /media/stick --check         # only look, change nothing
  vedette setup --from /media/stick --check --json | jq -r .install
  vedette setup --from /media/stick --no-enroll --network-dir /run/systemd/network   # before the network is up
  vedette setup                                     # go on with what was taken in before
"""


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "setup",
        help="set this box up from the provider's stick",
        description=DESCRIPTION,
        epilog=EXAMPLES + "\n" + EXIT_CODES,
        formatter_class=formatter,
    )
    add_config_option(parser)
    parser.add_argument("--from", dest="stick", metavar="DIR", type=Path, help="the folder of the mounted stick")
    parser.add_argument("--check", action="store_true", help="check the stick's file and show what it says; no change")
    parser.add_argument("--no-enroll", action="store_true", help="take it in and write the network file; enroll later")
    parser.add_argument(
        "--network-dir",
        metavar="DIR",
        type=Path,
        help="write 10-vedette-management.network there, for systemd-networkd",
    )
    parser.add_argument("--leave-stick", action="store_true", help="do not write to the stick: it is read-only media")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Look at the stick, or set the box up."""
    if args.check:
        if args.stick is None:
            raise OperatorError("--check came without --from", advice="name the mounted stick: --from DIR")
        return tell_stick(read_stick(args.stick), args.json)
    base = load_base(args.config)
    finish_reset(base)
    folder, clock = identity_folder(base), SystemClock()

    def enroller(plan: EnrollmentPlan, on_step: Callable[[str], None]) -> Enrolled:
        return enroll_as_planned(base, plan, folder, clock, on_step)

    box = Box(base, folder, clock, args.network_dir, args.leave_stick, enroller)
    return tell_outcome(set_up(args.stick, box, and_enroll=not args.no_enroll, on_step=tell), args)


def tell_stick(stick: StickFile, as_json: bool) -> int:
    """What a stick says, without its secrets. Exit 1: it was used."""
    setup = stick.setup
    network = setup.network
    said = {
        "file": str(stick.path),
        "install": setup.install,
        "urls": list(setup.urls),
        "ca_pin": setup.ca_pin,
        "token_id": setup.token_id,
        "tenant": setup.tenant,
        "site": setup.site,
        "proxy": bool(setup.proxy),
        "address": network.address or "dhcp",
        "gateway": network.gateway,
        "dns": list(network.dns),
        "ntp": list(network.ntp),
        "interface_mac": network.interface_mac,
        "interfaces": list(setup.interfaces),
        "used": setup.used is not None,
        "used_by": setup.used.sensor_id if setup.used else "",
        "used_at": setup.used.at if setup.used else "",
    }
    if as_json:
        print(json.dumps(said))
    else:
        for name, value in said.items():
            shown = ", ".join(value) if isinstance(value, list) else value
            print(f"{name + ':':<15}{('no', 'yes')[shown] if isinstance(shown, bool) else shown or '-'}")
    return 1 if setup.used else 0


def tell_outcome(outcome: Outcome, args: argparse.Namespace) -> int:
    """How far it went."""
    certificate = outcome.certificate
    if args.json:
        print(
            json.dumps(
                {
                    "sensor_id": certificate.sensor_id if certificate else None,
                    "assurance": certificate.assurance if certificate else None,
                    "network_file": str(outcome.network_file) if outcome.network_file else None,
                    "stick_wiped": outcome.stick_wiped,
                    "certificate_ended": outcome.ended,
                }
            )
        )
        return 0
    if outcome.ended:
        print("set up before; the certificate has ended")
        tell("next: vedette status; a running sensor renews it by itself, or the provider prepares another stick")
        return 0
    if certificate is None:
        print("taken in, not enrolled yet")
        tell("next: vedette setup, when the network is up")
        return 0
    print(f"set up as {certificate.sensor_id} (assurance: {certificate.assurance})")
    tell(f"next: vedette run --config {args.config}")
    return 0
