"""`vedette-collector sensors`, `release` and `revoke`: who is there and how they are; who may speak again or no more.

Rules of this file: argument handling and printing only.
"""

from __future__ import annotations

import argparse
from contextlib import closing
from typing import Any

from appliance.wire.enrollment import parse_sensor_id
from appliance.wire.fields import plain
from appliance.wire.session import SessionError
from collector_client.attest import SOFTWARE
from collector_client.cli.options import (
    add_command,
    add_directory,
    add_json,
    hint,
    print_json,
    print_table,
    shown_place,
    shown_time,
)
from collector_client.config import load_config, mode_words
from collector_client.errors import OperatorError
from collector_client.pki import PKI_NAME
from collector_client.pki.overview import ca_warnings
from collector_client.store import Control, audit, query, sensors
from collector_client.store.clock import SystemClock
from collector_client.store.reader import Reader

_SENSORS = """\
  vedette-collector sensors /var/lib/vedette-collector
  vedette-collector sensors --json | jq '.[] | select(.state != "on time") | .label'
"""
_RELEASE = (
    "  vedette-collector release /var/lib/vedette-collector s-fryock32azdpsitz6qt4 --reason 'old disk destroyed'\n"
)
_REVOKE = "  vedette-collector revoke /var/lib/vedette-collector s-fryock32azdpsitz6qt4 --reason stolen\n"


def add(commands: Any) -> None:
    """Declare the commands."""
    listing = add_command(
        commands, "sensors", "list sensors: state, last alert, gaps, certificate, assurance", _SENSORS
    )
    add_directory(listing, optional=True)
    add_json(listing)
    listing.set_defaults(run=run_sensors)
    release = add_command(
        commands,
        "release",
        "take alerts again of a sensor in quarantine",
        _RELEASE,
        description="A sensor is put in quarantine when two boxes seem to use its key: two runs speak in turn, or"
        " numbers\ncome again with other content. Its heartbeats are heard, its alerts wait on its disk. Find the"
        " second box or\nthe restored disk first; where the key may be in other hands, revoke the sensor and enroll a"
        " new key.",
    )
    add_directory(release)
    release.add_argument("sensor", metavar="SENSOR", help="the sensor's id, as `sensors` shows it")
    release.add_argument("--reason", default="", help="what was found, for the record")
    release.set_defaults(run=run_release)
    revoke = add_command(
        commands,
        "revoke",
        "refuse a sensor from now on; what it sent stays",
        _REVOKE,
        description="Refuse a sensor from its next request on, open connections included. What it sent stays. There"
        " is no way\nback for its key: to return, the box makes a new key and enrolls with a new token.",
    )
    add_directory(revoke)
    revoke.add_argument("sensor", metavar="SENSOR", help="the sensor's id, as `sensors` shows it")
    revoke.add_argument("--reason", default="", help="why, for the record")
    revoke.set_defaults(run=run_revoke)


def run_sensors(args: argparse.Namespace) -> int:
    """Print all sensors."""
    production = load_config(args.directory).collector.production
    with Reader.open(args.directory, SystemClock()) as reader:
        rows = query.sensors(reader)
    hint(f"mode: {mode_words(production)}")
    if args.json:
        print_json(rows)
        return 0
    for line in ca_warnings(args.directory / PKI_NAME, SystemClock().wall_ns()):
        hint(f"warning: {line}")
    if not rows:
        hint("no sensor has enrolled yet; make a token:")
        hint(f"  vedette-collector token new {args.directory} --tenant TENANT --site SITE")
    print_table(
        ("sensor", "where", "state", "key", "heartbeat UTC", "last alert UTC", "alerts", "gaps", "valid to"),
        (
            (
                row.sensor_id,
                shown_place(row.tenant, row.site, row.label),
                f"{row.state}, forked" if row.conflicts else row.state,
                f"{row.assurance}, refused" if production and row.assurance == SOFTWARE else row.assurance,
                shown_time(row.last_heartbeat_ts_ns)[:16],
                shown_time(row.last_alert_ts_ns)[:16],
                row.alerts,
                sum(last - first + 1 for first, last in row.gaps),
                shown_time(row.cert_not_after_ns)[:10],
            )
            for row in rows
        ),
    )
    for row in rows:
        if row.state == "quarantined":
            hint(f"{row.sensor_id} is in quarantine: {plain(row.quarantine_reason)}; when that is cleared up:")
            hint(f"  vedette-collector release {args.directory} {row.sensor_id} --reason TEXT")
    return 0


def run_release(args: argparse.Namespace) -> int:
    """Release one sensor from quarantine, with an audit row."""
    sensor_id, now_ns = _sensor_id(args), SystemClock().wall_ns()
    with closing(Control.open(args.directory)) as control, control.transaction() as connection:
        sensors.release(connection, sensor_id)
        audit.record(connection, now_ns, "operator", "release", sensor_id, args.reason)
    print(f"released {sensor_id}")
    return 0


def _sensor_id(args: argparse.Namespace) -> str:
    try:
        return parse_sensor_id(args.sensor)
    except SessionError as error:
        raise OperatorError(str(error), advice="list them: vedette-collector sensors") from error


def run_revoke(args: argparse.Namespace) -> int:
    """Revoke one sensor, with an audit row."""
    sensor_id = _sensor_id(args)
    now_ns = SystemClock().wall_ns()
    with closing(Control.open(args.directory)) as control, control.transaction() as connection:
        sensors.revoke(connection, sensor_id, args.reason, now_ns)
        audit.record(connection, now_ns, "operator", "revoke", sensor_id, args.reason)
    print(f"revoked {sensor_id}")
    return 0
