"""`vedette-collector token new` and `token list`: one-time enrollment tokens.

Rules of this file: argument handling and printing only; a secret is printed once, by `token new`.
"""

from __future__ import annotations

import argparse
from contextlib import closing
from typing import Any

from appliance.wire.fields import format_clock
from collector_client.cli.options import (
    add_command,
    add_directory,
    add_json,
    formatter,
    hint,
    print_json,
    print_table,
    shown_place,
    shown_time,
)
from collector_client.config import load_config
from collector_client.pki import PKI_NAME, load_chains
from collector_client.pki.profile import pin_of
from collector_client.store import Control, tokens
from collector_client.store.clock import SystemClock
from collector_client.tokens import new_token, parse_span

_NEW = """\
  vedette-collector token new /var/lib/vedette-collector --tenant acme --site north
  vedette-collector token new demo-data --tenant acme --site north --expires 7d --json
"""
_LIST = "  vedette-collector token list /var/lib/vedette-collector\n"


def add(commands: Any) -> None:
    """Declare the commands."""
    token = commands.add_parser(
        "token", help="one-time enrollment tokens", description="Enrollment tokens.", formatter_class=formatter
    )
    actions = token.add_subparsers(dest="action", metavar="ACTION", required=True)
    new = add_command(actions, "new", "make a token that enrolls one sensor, and print it once", _NEW)
    add_directory(new, optional=True)
    new.add_argument("--tenant", required=True, help="whose sensor it will be; made if new")
    new.add_argument("--site", required=True, help="where it will stand; made if new")
    new.add_argument("--label", default="", help="what to call the sensor")
    new.add_argument("--expires", metavar="SPAN", default="24h", help="30m, 24h, 7d ... (default: 24h)")
    add_json(new)
    new.set_defaults(run=run_new)
    listing = add_command(actions, "list", "list tokens and what became of them", _LIST)
    add_directory(listing, optional=True)
    add_json(listing)
    listing.set_defaults(run=run_list)


def run_new(args: argparse.Namespace) -> int:
    """Make one and print it."""
    life_s, now_ns = parse_span(args.expires), SystemClock().wall_ns()
    load_config(args.directory)  # a folder that is no collector is refused by name
    pin = pin_of(load_chains(args.directory / PKI_NAME).root)
    with closing(Control.open(args.directory)) as control:
        made = new_token(control, args.tenant, args.site, args.label, life_s, now_ns)
    expires = format_clock(now_ns + life_s * 10**9)
    if args.json:
        print_json(
            {
                "token": str(made),
                "token_id": made.token_id,
                "tenant": args.tenant,
                "site": args.site,
                "expires": expires,
                "ca_pin": pin,
            }
        )
        return 0
    print(f"token:  {made}")
    print(f"ca_pin: {pin}")
    hint(f"enrolls one sensor of {args.tenant}/{args.site} until {expires[:19]}Z; it is not shown again")
    hint("put both into the sensor's [collector] section, then: vedette enroll --config FILE")
    return 0


def run_list(args: argparse.Namespace) -> int:
    """Print all tokens, newest first."""
    now_ns = SystemClock().wall_ns()
    with closing(Control.open(args.directory)) as control, control.reading() as connection:
        found = tokens.list_all(connection)
    if args.json:
        print_json(
            [
                {
                    "token_id": token.token_id,
                    "state": token.state(now_ns),
                    "tenant": token.tenant,
                    "site": token.site,
                    "label": token.label,
                    "created": format_clock(token.created_ns),
                    "expires": format_clock(token.expires_ns),
                    "used_by": token.used_by,
                    "used": None if token.used_ns is None else format_clock(token.used_ns),
                }
                for token in found
            ]
        )
        return 0
    print_table(
        ("token", "state", "where", "expires UTC", "used by", "used UTC"),
        (
            (
                token.token_id,
                token.state(now_ns),
                shown_place(token.tenant, token.site, token.label),
                shown_time(token.expires_ns),
                token.used_by,
                shown_time(token.used_ns),
            )
            for token in found
        ),
    )
    return 0
