"""The questions that count: alerts by signature, by time, and when the oldest and newest are.

Rules of this file: read-only; a question over several months asks each file and merges here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any

from collector_client.attest.levels import WEAKEST_FIRST
from collector_client.store.connect import translated
from collector_client.store.filter import AlertFilter, condition
from collector_client.store.fleet import tenants
from collector_client.store.reader import Reader

UNSTATED_PRIORITY = 0
MAX_GROUPS = 1000
"""Most groups of one answer: a sensor may make up as many signatures as it may send alerts."""


@dataclass(frozen=True, slots=True)
class GroupRow:
    """The alerts of one signature at one tenant; message, category and priority as in the newest of them."""

    tenant: str
    gid: int
    sid: int
    msg: str
    category: str | None
    priority: int | None
    count: int
    first_ts_ns: int
    last_ts_ns: int
    sensors: int
    src_ips: int
    dst_ips: int


def alert_groups(reader: Reader, chosen: AlertFilter, limit: int = MAX_GROUPS) -> list[GroupRow]:
    """Alerts by tenant and signature, most urgent first, then the most recent; at most `limit`.

    Raises:
        StoreError: a file cannot be read.
    """
    where, values = condition(reader.control, chosen)
    parts: dict[tuple[int, int, int], list[tuple[Any, ...]]] = defaultdict(list)
    with translated("counting alerts"):
        for month, file in reader.months(chosen.since_ns, chosen.until_ns):
            for row in file.execute(
                "SELECT tenant_id, gid, sid, msg, classtype, priority, COUNT(*), MIN(ts_ns), MAX(ts_ns),"  # noqa: S608
                " COUNT(DISTINCT sensor_id), COUNT(DISTINCT src_ip), COUNT(DISTINCT dst_ip)"
                f" FROM alerts WHERE {where} GROUP BY tenant_id, gid, sid, msg, classtype, priority"
                " ORDER BY COALESCE(priority, 255), MAX(ts_ns) DESC LIMIT ?",
                [*values, limit],
            ):
                parts[row[:3]].append((month, *row[3:]))
        names = tenants(reader)
        # The groups that will be shown are chosen before anything more is asked about each.
        shown = sorted(parts.items(), key=lambda part: _order(part[1]))[:limit]
        out = [_group(reader, chosen, names.get(key[0], "?"), key, rows) for key, rows in shown]
    return sorted(out, key=lambda group: (group.priority or 255, -group.last_ts_ns))


def _order(rows: Sequence[tuple[Any, ...]]) -> tuple[int, int]:
    newest = max(rows, key=lambda row: row[6])
    return newest[3] or 255, -newest[6]


def _group(
    reader: Reader, chosen: AlertFilter, tenant: str, key: tuple[int, int, int], rows: Sequence[tuple[Any, ...]]
) -> GroupRow:
    newest = max(rows, key=lambda row: row[6])
    distinct = newest[7:10] if len(rows) == 1 else _count_distinct(reader, chosen, key)
    return GroupRow(
        tenant, key[1], key[2], newest[1], newest[2], newest[3],
        sum(row[4] for row in rows), min(row[5] for row in rows), newest[6], *distinct,
    )  # fmt: skip


def _count_distinct(reader: Reader, chosen: AlertFilter, key: tuple[int, int, int]) -> tuple[int, int, int]:
    where, values = condition(reader.control, chosen)
    where = f"{where} AND alerts.tenant_id = ? AND alerts.gid = ? AND alerts.sid = ?"
    seen: tuple[set[str], set[str], set[str]] = (set(), set(), set())
    for _, file in reader.months(chosen.since_ns, chosen.until_ns):
        for found, column in zip(seen, ("sensor_id", "src_ip", "dst_ip"), strict=True):
            sql = f"SELECT DISTINCT {column} FROM alerts WHERE {where} AND {column} IS NOT NULL"  # noqa: S608
            found.update(row[0] for row in file.execute(sql, [*values, *key]))
    return len(seen[0]), len(seen[1]), len(seen[2])


def timeline(reader: Reader, chosen: AlertFilter, bucket_s: int) -> list[tuple[int, dict[int, int]]]:
    """(start of the bucket in seconds, alerts by priority), ascending, only buckets that have any.

    An alert without a priority counts as `UNSTATED_PRIORITY`.

    Raises:
        StoreError: a file cannot be read.
    """
    where, values = condition(reader.control, chosen)
    out: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    with translated("counting alerts"):
        for _, file in reader.months(chosen.since_ns, chosen.until_ns):
            sql = (
                f"SELECT ts_ns / ? AS bucket, COALESCE(priority, {UNSTATED_PRIORITY}) AS p, COUNT(*) FROM alerts"  # noqa: S608
                f" WHERE {where} GROUP BY bucket, p"
            )
            for bucket, priority, count in file.execute(sql, [bucket_s * 1_000_000_000, *values]):
                out[bucket * bucket_s][priority] += count
    return [(start, dict(out[start])) for start in sorted(out)]


def trends(
    reader: Reader, chosen: AlertFilter, bucket_s: int, shown: Set[tuple[str, int, int]]
) -> dict[tuple[str, int, int], dict[int, int]]:
    """Alerts over time of each (tenant, gid, sid) of `shown`: start of the bucket in seconds -> how many.

    Only filled buckets.

    Raises:
        StoreError: a file cannot be read.
    """
    where, values = condition(reader.control, chosen)
    out: dict[tuple[str, int, int], dict[int, int]] = defaultdict(lambda: defaultdict(int))
    with translated("counting alerts"):
        names = tenants(reader)
        for _, file in reader.months(chosen.since_ns, chosen.until_ns):
            for tenant_id, gid, sid, bucket, count in file.execute(
                f"SELECT tenant_id, gid, sid, ts_ns / ? AS bucket, COUNT(*) FROM alerts WHERE {where}"  # noqa: S608
                " GROUP BY tenant_id, gid, sid, bucket",
                [bucket_s * 1_000_000_000, *values],
            ):
                key = names.get(tenant_id, "?"), gid, sid
                if key in shown:
                    out[key][bucket * bucket_s] += count
    return {key: dict(buckets) for key, buckets in out.items()}


def assurances(
    reader: Reader, chosen: AlertFilter, shown: Set[tuple[str, int, int]]
) -> dict[tuple[str, int, int], tuple[str, ...]]:
    """The assurances under which the alerts of each (tenant, gid, sid) of `shown` came, the weakest first.

    Raises:
        StoreError: a file cannot be read.
    """
    where, values = condition(reader.control, chosen)
    out: dict[tuple[str, int, int], set[str]] = defaultdict(set)
    with translated("counting alerts"):
        names = tenants(reader)
        for _, file in reader.months(chosen.since_ns, chosen.until_ns):
            for tenant_id, gid, sid, assurance in file.execute(
                "SELECT DISTINCT alerts.tenant_id, gid, sid, assurance FROM alerts"  # noqa: S608
                f" JOIN batches USING (batch_id) WHERE {where}",
                values,
            ):
                out[names.get(tenant_id, "?"), gid, sid].add(assurance)
    return {key: tuple(sorted(out[key], key=_weakness)) for key in shown if key in out}


def _weakness(assurance: str) -> tuple[int, str]:
    return (WEAKEST_FIRST.index(assurance) if assurance in WEAKEST_FIRST else -1, assurance)


def time_span(reader: Reader, chosen: AlertFilter) -> tuple[int | None, int | None]:
    """The times of the oldest and the newest of these alerts; (None, None) when there are none.

    Raises:
        StoreError: a file cannot be read.
    """
    where, values = condition(reader.control, chosen)
    found: list[int] = []
    with translated("counting alerts"):
        for _, file in reader.months(chosen.since_ns, chosen.until_ns):
            # One aggregate each: SQLite then reads a single entry of the time index where nothing else is asked.
            for edge in ("MIN", "MAX"):
                (when,) = file.execute(f"SELECT {edge}(ts_ns) FROM alerts WHERE {where}", values).fetchone()  # noqa: S608
                if when is not None:
                    found.append(when)
    return (min(found), max(found)) if found else (None, None)
