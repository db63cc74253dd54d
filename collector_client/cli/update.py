"""`vedette-collector update`: offer a new version to boxes, take an offer back, see how it went.

Rules of this file: argument handling and printing only.
"""

from __future__ import annotations

import argparse
import getpass
from contextlib import closing
from pathlib import Path
from typing import Any

from appliance.wire.enrollment import parse_sensor_id
from appliance.wire.fields import SessionError
from collector_client.cli.options import (
    add_command,
    add_directory,
    add_json,
    formatter,
    hint,
    print_json,
    print_table,
    shown_time,
)
from collector_client.errors import OperatorError
from collector_client.store import Control, audit, sensors, tenants, updates
from collector_client.store.clock import SystemClock
from collector_client.updates import let_go, take_in

_OFFER = """\
  vedette-collector update offer /srv/vedette vedette-update_0.2.0_amd64.bundle --sensor s-fryock32azdpsitz6qt4
  vedette-collector update offer /srv/vedette vedette-update_0.2.0_amd64.bundle --tenant acme --site north
  vedette-collector update offer /srv/vedette vedette-update_0.2.0_amd64.bundle --all
"""
_LIST = "  vedette-collector update list /srv/vedette\n"
_WITHDRAW = "  vedette-collector update withdraw /srv/vedette 3\n"
_OUTCOMES = """\
  vedette-collector update outcomes /srv/vedette
  vedette-collector update outcomes /srv/vedette --json | jq '.[] | select(.kind == "fell-back") | .reason'
"""


def add(commands: Any) -> None:
    """Declare the commands."""
    update = commands.add_parser(
        "update",
        help="new versions for boxes",
        description="New versions of the whole box, offered to sensors; boxes fetch them by themselves.",
        formatter_class=formatter,
    )
    actions = update.add_subparsers(dest="action", metavar="ACTION", required=True)
    offer = add_command(
        actions,
        "offer",
        "offer a bundle to one sensor, to a site, a tenant, or all",
        _OFFER,
        description="Copies the bundle into the collector's folder and offers it. A box takes the newest offer for it"
        " when its version\nis newer than the one it runs, checks the maker's signature itself, and starts it; one that"
        " does not get\nhealthy is left again, see `update outcomes`. Offer to one sensor first.",
    )
    add_directory(offer)
    offer.add_argument("file", metavar="FILE", type=Path, help="the bundle, as `make image-bundle` makes it")
    offer.add_argument("--tenant", help="to sensors of this tenant")
    offer.add_argument("--site", help="with --tenant: of this site only")
    offer.add_argument("--sensor", metavar="SENSOR", help="to this sensor")
    offer.add_argument("--all", action="store_true", help="to every sensor")
    offer.add_argument(
        "--older", action="store_true", help="also to boxes with a newer version (never below their floor)"
    )
    add_json(offer)
    offer.set_defaults(run=run_offer)
    listing = add_command(actions, "list", "list what is offered, and what was", _LIST)
    add_directory(listing, optional=True)
    add_json(listing)
    listing.set_defaults(run=run_list)
    back = add_command(actions, "withdraw", "offer an update no more", _WITHDRAW)
    add_directory(back)
    back.add_argument("update", metavar="ID", type=int, help="the offer's number, as `update list` shows it")
    back.set_defaults(run=run_withdraw)
    outcomes = add_command(
        actions, "outcomes", "how updates ended on the boxes, and why boxes started again unasked", _OUTCOMES
    )
    add_directory(outcomes, optional=True)
    outcomes.add_argument("--limit", metavar="N", type=int, default=100, help="the last N (default: 100)")
    add_json(outcomes)
    outcomes.set_defaults(run=run_outcomes)


def run_offer(args: argparse.Namespace) -> int:
    """Take a bundle in and offer it, with an audit row."""
    if sum((args.all, args.sensor is not None, args.tenant is not None)) != 1 or (args.site and not args.tenant):
        raise OperatorError(
            "none or several of --sensor, --tenant, --all came",
            advice="One says whom it is for; --site needs --tenant.",
        )
    with closing(Control.open(args.directory)) as control:
        with control.reading() as connection:
            scope = find_scope(connection, args)
        taken = take_in(args.directory, args.file)
        now_ns = SystemClock().wall_ns()
        with control.transaction() as connection:
            update_id = updates.offer(
                connection,
                version=taken.manifest.version,
                architecture=taken.manifest.architecture,
                size_bytes=taken.size_bytes,
                sha256=taken.sha256,
                scope=scope,
                older=args.older,
                by=getpass.getuser(),
                now_ns=now_ns,
            )
            whom = args.sensor or "/".join(filter(None, (args.tenant, args.site))) or "all"
            detail = f"version {taken.manifest.version} to {whom}, SHA-256 {taken.sha256}"
            audit.record(connection, now_ns, "operator", "offer update", str(update_id), detail)
    if args.json:
        print_json({"update_id": update_id, "version": taken.manifest.version, "sha256": taken.sha256, "to": whom})
    else:
        print(f"update {update_id}: version {taken.manifest.version} is offered to {whom}")
        hint(f"next: vedette-collector update outcomes {args.directory}")
    return 0


def find_scope(connection: Any, args: argparse.Namespace) -> updates.Scope:
    """Whom the options name.

    Raises:
        OperatorError: there is no such tenant, site or sensor.
    """
    if args.sensor is not None:
        try:
            sensor_id = parse_sensor_id(args.sensor)
        except SessionError as error:
            raise OperatorError(str(error), advice="list them: vedette-collector sensors") from error
        if sensors.find(connection, sensor_id) is None:
            raise OperatorError(f"no sensor {sensor_id}", advice="list them: vedette-collector sensors")
        return updates.Scope(sensor_id=sensor_id)
    if args.tenant is not None:
        for site in tenants.list_sites(connection):
            if site.tenant == args.tenant and args.site in (None, site.site):
                return updates.Scope(site.tenant_id, site.site_id if args.site else None)
        where = "/".join(filter(None, (args.tenant, args.site)))
        raise OperatorError(f"no site {where} here", advice="list them: vedette-collector sensors")
    return updates.Scope()


def run_list(args: argparse.Namespace) -> int:
    """Print all offers."""
    with closing(Control.open(args.directory)) as control, control.reading() as connection:
        rows = updates.list_all(connection)
        sites = {site.site_id: f"{site.tenant}/{site.site}" for site in tenants.list_sites(connection)}
        names = {site.tenant_id: site.tenant for site in tenants.list_sites(connection)}

    def whom(row: updates.UpdateRecord) -> str:
        if row.site_id is not None:
            return sites.get(row.site_id, "")
        return row.sensor_id or names.get(row.tenant_id or 0, "all")

    if args.json:
        print_json([{**row._asdict(), "to": whom(row)} for row in rows])
        return 0
    print_table(
        ("update", "version", "for", "to", "MiB", "offered UTC", "by", "withdrawn UTC"),
        (
            (r.update_id, r.version, r.architecture, whom(r), f"{r.size_bytes / 2**20:.1f}", shown_time(r.offered_ns),
             r.offered_by, shown_time(r.withdrawn_ns))
            for r in rows
        ),
    )  # fmt: skip
    return 0


def run_withdraw(args: argparse.Namespace) -> int:
    """Take an offer back, with an audit row."""
    now_ns = SystemClock().wall_ns()
    with closing(Control.open(args.directory)) as control:
        with control.transaction() as connection:
            record = updates.withdraw(connection, args.update, now_ns)
            audit.record(
                connection, now_ns, "operator", "withdraw update", str(args.update), f"version {record.version}"
            )
            needed = updates.in_use(connection, record.sha256)
        if not needed:
            let_go(args.directory, record.sha256)
    print(f"update {args.update}: version {record.version} is offered no more")
    return 0


def run_outcomes(args: argparse.Namespace) -> int:
    """Print how updates ended."""
    with closing(Control.open(args.directory)) as control, control.reading() as connection:
        rows = updates.list_outcomes(connection, max(1, args.limit))
    if args.json:
        print_json([row._asdict() for row in rows])
        return 0
    print_table(
        ("sensor", "when UTC", "what", "version", "update", "message"),
        ((r.sensor_id, shown_time(r.at_ns), r.kind, r.version, r.update_id or "stick", r.reason) for r in rows),
    )
    return 0
