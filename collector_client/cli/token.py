"""`vedette-collector token new`, `token list` and `token revoke`: one-time enrollment tokens.

Rules of this file: argument handling and printing only; a secret leaves once, by `token new`: to the screen or to the
stick.
"""

from __future__ import annotations

import argparse
import os
import pwd
from contextlib import closing
from typing import Any

from appliance.wire.enrollment import EnrollmentToken, parse_sensor_id
from appliance.wire.fields import SessionError, format_clock
from collector_client.cli import stick
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
from collector_client.errors import CollectorError, OperatorError
from collector_client.pki import PKI_NAME, load_chains
from collector_client.pki.profile import pin_of
from collector_client.store import Control, sensors, tokens
from collector_client.store.clock import SystemClock
from collector_client.store.errors import UnknownSensorError
from collector_client.store.sensors import SensorRecord
from collector_client.tokens import continuing_token, new_token, parse_ek, parse_key, parse_span, revoke_token

_NEW = """\
  vedette-collector token new /var/lib/vedette-collector --tenant acme --site north
  vedette-collector token new demo-data --tenant acme --site north --expires 7d --json
  vedette-collector token new /srv/vedette --tenant acme --site north --stick /media/stick --install unattended
  vedette-collector token new /srv/vedette --tenant acme --site north --stick /media/stick \\
      --address 192.0.2.5/24 --gateway 192.0.2.1 --dns 192.0.2.53 --interface-mac 52:54:00:12:34:56
  vedette-collector token new /srv/vedette --for s-fryock32azdpsitz6qt4
"""
_LIST = "  vedette-collector token list /var/lib/vedette-collector\n"
_REVOKE = "  vedette-collector token revoke /var/lib/vedette-collector t-fryock32azdp --reason 'stick lost'\n"


def add(commands: Any) -> None:
    """Declare the commands."""
    token = commands.add_parser(
        "token", help="one-time enrollment tokens", description="Enrollment tokens.", formatter_class=formatter
    )
    actions = token.add_subparsers(dest="action", metavar="ACTION", required=True)
    new = add_command(actions, "new", "make a token that enrolls one sensor, and print it once", _NEW)
    add_directory(new, optional=True)
    new.add_argument("--tenant", help="whose sensor it will be; made if new")
    new.add_argument("--site", help="where it will stand; made if new")
    new.add_argument("--label", default="", help="what to call the sensor")
    new.add_argument(
        "--for",
        dest="for_sensor",
        metavar="SENSOR",
        help="go on with this sensor's record, after a reset or a new disk: same id, site and history; its keys end",
    )
    new.add_argument(
        "--other-box", action="store_true", help="with --for: any box may, not only the one whose TPM proved the sensor"
    )
    new.add_argument("--expires", metavar="SPAN", default="24h", help="30m, 24h, 7d ... (default: 24h)")
    new.add_argument("--ek", metavar="SHA256", help="only the TPM with this endorsement key, as pki/tpm-allowed has it")
    new.add_argument("--key", metavar="SHA256", help="only the box with this key in its secure element, as it shows it")
    _add_by(new)
    stick.add(new)
    add_json(new)
    new.set_defaults(run=run_new)
    listing = add_command(actions, "list", "list tokens and what became of them", _LIST)
    add_directory(listing, optional=True)
    add_json(listing)
    listing.set_defaults(run=run_list)
    revoke = add_command(actions, "revoke", "take a token back that no sensor has used", _REVOKE)
    add_directory(revoke)
    revoke.add_argument("token", metavar="TOKEN", help="the token's id, as `token list` shows it")
    revoke.add_argument("--reason", default="", help="why, for the record")
    _add_by(revoke)
    revoke.set_defaults(run=run_revoke)


def _add_by(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--by", metavar="NAME", help="who does this, for the record (default: your login name)")


def login_name() -> str:
    """Who works here: the login, also behind sudo; else the account."""
    try:
        return os.getlogin()
    except OSError:
        pass
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def run_new(args: argparse.Namespace) -> int:
    """Make one, and print it or put it on the stick."""
    life_s, now_ns = parse_span(args.expires), SystemClock().wall_ns()
    config = load_config(args.directory)  # a folder that is no collector is refused by name
    pin = pin_of(load_chains(args.directory / PKI_NAME).root)
    ek, by = None if args.ek is None else parse_ek(args.ek), args.by or login_name()
    key = None if args.key is None else parse_key(args.key)
    _check_whose(args)
    expires = format_clock(now_ns + life_s * 10**9)
    with closing(Control.open(args.directory)) as control:
        if args.for_sensor is not None:
            record = _record(control, args.for_sensor)
            args.tenant, args.site = record.tenant, record.site
        stick.check(args, config, pin)  # what is wrong is told before a token is made
        made = _make(control, args, life_s, now_ns, by, ek, key)
        if args.stick is not None:
            try:
                path = stick.write(args, config, pin, made, expires)
            except CollectorError:
                revoke_token(control, made.token_id, "the stick could not be written", now_ns, by=by)
                raise
    if args.stick is not None:
        return stick.tell(args, path, made, pin, expires)
    if args.json:
        print_json(
            {
                "token": str(made),
                "token_id": made.token_id,
                "tenant": args.tenant,
                "site": args.site,
                "expires": expires,
                "ca_pin": pin,
                "for_sensor": args.for_sensor,
            }
        )
        return 0
    print(f"token:  {made}")
    print(f"ca_pin: {pin}")
    what = f"goes on with {args.for_sensor}" if args.for_sensor else "enrolls one sensor"
    hint(f"{what} of {args.tenant}/{args.site} until {expires[:19]}Z; it is not shown again")
    hint("put both into the sensor's [collector] section, then: vedette enroll --config FILE")
    return 0


def _check_whose(args: argparse.Namespace) -> None:
    """Raises `OperatorError` unless the options say whose sensor it will be, once."""
    if args.key is not None and args.ek is not None:
        raise OperatorError("--key came with --ek", advice="a sensor's key is in a secure element or in a TPM")
    if args.for_sensor is None:
        if args.other_box:
            raise OperatorError("--other-box came without --for", advice="a new sensor's token is for any box anyway")
        if args.tenant is None or args.site is None:
            raise OperatorError(
                "neither --tenant and --site nor --for SENSOR came", advice="one of them says whose sensor it will be"
            )
    elif args.tenant is not None or args.site is not None or args.label:
        raise OperatorError(
            "--for came with --tenant, --site or --label", advice="they stay what the sensor's record says"
        )
    elif args.other_box and (args.ek is not None or args.key is not None):
        raise OperatorError("--other-box came with --ek or --key", advice="any box, or that one")


def _record(control: Control, text: str) -> SensorRecord:
    try:
        name = parse_sensor_id(text)
    except SessionError as error:
        raise OperatorError(str(error), advice="list them: vedette-collector sensors") from error
    with control.reading() as connection:
        found = sensors.find(connection, name)
    if found is None:
        raise UnknownSensorError(f"sensor {name} has no record here", advice="list them: vedette-collector sensors")
    return found


def _make(
    control: Control,
    args: argparse.Namespace,
    life_s: int,
    now_ns: int,
    by: str,
    ek: bytes | None,
    key: bytes | None,
) -> EnrollmentToken:
    if args.for_sensor is None:
        return new_token(
            control, args.tenant, args.site, args.label, life_s, now_ns, by=by, ek_sha256=ek, key_sha256=key
        )
    made = continuing_token(
        control, args.for_sensor, life_s, now_ns, by=by, ek_sha256=ek, key_sha256=key, other_box=args.other_box
    )
    box = "any box" if made.ek_sha256 is None else f"the box whose TPM has EK {made.ek_sha256.hex()[:16]}…"
    if made.key_sha256 is not None:
        box = f"the box whose secure element has the key {made.key_sha256.hex()[:16]}…"
    hint(f"for {box}; once it is used, the sensor's keys until now are worth nothing")
    return made.token


def run_revoke(args: argparse.Namespace) -> int:
    """Take one back."""
    now_ns = SystemClock().wall_ns()
    with closing(Control.open(args.directory)) as control:
        revoke_token(control, args.token, args.reason, now_ns, by=args.by or login_name())
    print(f"revoked {args.token}")
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
                    "made_by": token.made_by,
                    "ek_sha256": None if token.ek_sha256 is None else token.ek_sha256.hex(),
                    "key_sha256": None if token.key_sha256 is None else token.key_sha256.hex(),
                    "for_sensor": token.for_sensor,
                    "used_by": token.used_by,
                    "used": None if token.used_ns is None else format_clock(token.used_ns),
                    "revoked_by": token.revoked_by or None,
                    "revoked": None if token.revoked_ns is None else format_clock(token.revoked_ns),
                }
                for token in found
            ]
        )
        return 0
    print_table(
        ("token", "state", "where", "made by", "for EK or key", "expires UTC", "used by", "used UTC"),
        (
            (
                token.token_id,
                token.state(now_ns),
                shown_place(token.tenant, token.site, token.label),
                token.made_by,
                _shown_box(token),
                shown_time(token.expires_ns),
                token.used_by,
                shown_time(token.used_ns),
            )
            for token in found
        ),
    )
    return 0


def _shown_box(token: tokens.TokenRecord) -> str:
    pinned = token.ek_sha256 or token.key_sha256
    return "any" if pinned is None else pinned.hex()[:16] + "…"
