"""`vedette-collector alerts`: what the sensors saw.

Rules of this file: argument handling and printing only.
"""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from appliance.wire.fields import format_clock, parse_clock
from appliance.wire.session import SessionError
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
from collector_client.errors import OperatorError
from collector_client.store import query
from collector_client.store.clock import SystemClock
from collector_client.store.reader import Reader
from collector_client.tokens import parse_span

_EXAMPLES = """\
  vedette-collector alerts /var/lib/vedette-collector --since 24h --priority 2
  vedette-collector alerts --tenant acme --text sqlmap --json | jq -r '.[].src_ip' | sort | uniq -c
"""
DEFAULT_LIMIT = 100
_SHORT_ID = 8
"""Of a sensor's id in the table for people: `sensors` and --json have it whole."""


def add(commands: Any) -> None:
    """Declare the command."""
    parser = add_command(commands, "alerts", "list alerts, newest first", _EXAMPLES)
    add_directory(parser, optional=True)
    parser.add_argument("--tenant", help="of this tenant")
    parser.add_argument("--sensor", metavar="ID", help="of this sensor")
    parser.add_argument("--sid", type=int, help="of the rule with this signature id")
    parser.add_argument("--src", metavar="ADDRESS", help="from this address")
    parser.add_argument("--dst", metavar="ADDRESS", help="to this address")
    parser.add_argument("--priority", metavar="N", type=int, help="of priority 1 to N (1 is the most urgent)")
    parser.add_argument("--text", help="with this text in the message, or this sid or address")
    parser.add_argument(
        "--since", metavar="TIME", help="not before: 2026-11-24T04:00:00Z, or a span back: 30m, 24h, 7d"
    )
    parser.add_argument("--until", metavar="TIME", help="before: the same forms")
    parser.add_argument(
        "--limit", metavar="N", type=int, default=DEFAULT_LIMIT, help=f"at most N (default: {DEFAULT_LIMIT})"
    )
    add_json(parser)
    parser.set_defaults(run=run_alerts)


def run_alerts(args: argparse.Namespace) -> int:
    """Print the alerts that the filters leave."""
    if args.limit < 1:
        raise OperatorError(f"--limit {args.limit} came, 1 or more was allowed")
    now_ns = SystemClock().wall_ns()
    chosen = query.AlertFilter(
        tenant=args.tenant,
        sensor_id=args.sensor,
        sid=args.sid,
        src_ip=args.src,
        dst_ip=args.dst,
        since_ns=_time("--since", args.since, now_ns),
        until_ns=_time("--until", args.until, now_ns),
        priority_max=args.priority,
        text=args.text,
    )
    with Reader.open(args.directory, SystemClock()) as reader:
        rows = query.alerts(reader, chosen, args.limit)
    if args.json:
        print_json([_as_json(row) for row in rows])
        return 0
    print_table(
        ("time UTC", "prio", "sid", "message", "source", "destination", "where", "sensor", "key", "id"),
        (
            (
                shown_time(row.ts_sensor_ns),
                row.priority,
                row.sid,
                row.msg,
                _end(row.src_ip, row.src_port),
                _end(row.dst_ip, row.dst_port),
                shown_place(row.tenant, row.site),
                row.sensor_id[:_SHORT_ID],
                row.assurance,
                row.alert_id,
            )
            for row in rows
        ),
    )
    if len(rows) == args.limit:
        hint(f"the newest {args.limit}; --limit shows more")
    return 0


def _as_json(row: query.AlertRow) -> dict[str, Any]:
    times = {"ts_sensor": format_clock(row.ts_sensor_ns), "ts_received": format_clock(row.ts_received_ns)}
    return dataclasses.asdict(row) | times


def _end(address: str | None, port: int | None) -> str:
    shown = address or "hidden"
    if port is None:
        return shown
    return f"[{shown}]:{port}" if ":" in shown else f"{shown}:{port}"


def _time(option: str, text: str | None, now_ns: int) -> int | None:
    if text is None:
        return None
    try:
        return parse_clock(option, text) if "T" in text else now_ns - parse_span(text) * 10**9
    except (SessionError, OperatorError):
        raise OperatorError(
            f"{option} {text[:40]!r} came, a time like 2026-11-24T04:00:00Z or a span like 24h was allowed"
        ) from None
