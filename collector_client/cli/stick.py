"""The options of `vedette-collector token new` that are about the stick, and what it says of one.

Rules of this file: argument handling and printing only; what goes on a stick is `collector_client.stick`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from appliance.wire.enrollment import EnrollmentToken
from appliance.wire.setup_file import Setup
from appliance.wire.setup_values import Network
from collector_client.cli.options import hint, print_json
from collector_client.config import Config
from collector_client.errors import OperatorError
from collector_client.stick import check_names, check_stick, checked_text, collector_urls, write_stick

_STICK_ONLY = ("url", "address", "gateway", "dns", "ntp", "interface_mac", "proxy", "capture", "install")


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    group = parser.add_argument_group("the stick")
    group.add_argument(
        "--stick",
        metavar="DIR",
        type=Path,
        help="write vedette-setup.toml with the token there, the folder of a mounted stick",
    )
    group.add_argument(
        "--url", action="append", help="where the box finds the collector; may be repeated (default: [collector] names)"
    )
    group.add_argument("--address", metavar="ADDRESS/PREFIX", help="management address of the box (default: DHCP)")
    group.add_argument("--gateway", metavar="ADDRESS", help="its way out")
    group.add_argument("--dns", metavar="ADDRESS", action="append", help="name server; may be repeated")
    group.add_argument(
        "--ntp",
        metavar="ADDRESS",
        action="append",
        help="NTP server that keeps its clock right; may be repeated (default: those that DHCP offers)",
    )
    group.add_argument("--interface-mac", metavar="MAC", help="the management port, as on the label of the box")
    group.add_argument("--proxy", metavar="URL", help="http://[USER:PASSWORD@]HOST[:PORT], when there is one")
    group.add_argument(
        "--capture",
        metavar="INTERFACE",
        action="append",
        help="port to watch; may be repeated (default: with the image all but the management port, else as configured)",
    )
    group.add_argument(
        "--install",
        choices=("unattended", "ask", "live"),
        help="on an install stick: unattended: without a question; ask; live: run from the stick (default: ask)",
    )


def check(args: argparse.Namespace, config: Config, pin: str) -> None:
    """See that a stick that was asked for can be written, with values that a box takes.

    Raises:
        OperatorError: a value, or the folder, cannot be used; or there are values and no stick.
        EnvironmentFault: the stick cannot be read or written.
    """
    if args.stick is None:
        if vain := [name for name in _STICK_ONLY if getattr(args, name) is not None]:
            option = "--" + vain[0].replace("_", "-")
            raise OperatorError(f"{option} came without --stick", advice="it goes into the stick's file: --stick DIR")
        return
    check_stick(args.stick)
    setup = _setup(args, config, pin, _EXAMPLE)
    checked_text(setup)
    check_names(config, setup)


def write(args: argparse.Namespace, config: Config, pin: str, token: EnrollmentToken, expires: str) -> Path:
    """Write the stick's file; returns its path. `expires` as `format_clock` has it.

    Raises:
        EnvironmentFault: the stick cannot be written.
    """
    return write_stick(
        args.stick, checked_text(_setup(args, config, pin, token), f"{expires[:10]} {expires[11:16]} UTC")
    )


_EXAMPLE = EnrollmentToken("t-" + "a" * 12, "x" * 43)


def _setup(args: argparse.Namespace, config: Config, pin: str, token: EnrollmentToken) -> Setup:
    return Setup(
        urls=collector_urls(config, args.url or ()),
        ca_pin=pin,
        token_id=token.token_id,
        token=token,
        proxy=args.proxy or "",
        tenant=args.tenant,
        site=args.site,
        network=Network(
            args.address or "",
            args.gateway or "",
            tuple(args.dns or ()),
            args.interface_mac or "",
            tuple(args.ntp or ()),
        ),
        interfaces=tuple(args.capture or ()),
        install=args.install or "ask",
    )


def tell(args: argparse.Namespace, path: Path, made: EnrollmentToken, pin: str, expires: str) -> int:
    """What was written; the secret is on the stick alone."""
    if args.json:
        print_json(
            {
                "stick": str(path),
                "token_id": made.token_id,
                "tenant": args.tenant,
                "site": args.site,
                "expires": expires,
                "ca_pin": pin,
            }
        )
        return 0
    print(f"wrote {path}: token {made.token_id} for {args.tenant}/{args.site}, until {expires[:19]}Z")
    hint("next: unmount the stick, put it into the box and switch it on: it enrolls by itself and wipes the token")
    hint("      on a box without the image: vedette setup --from DIR")
    hint(f"lost the stick? vedette-collector token revoke {args.directory} {made.token_id}")
    return 0
