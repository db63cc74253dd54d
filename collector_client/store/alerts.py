"""The questions about single alerts: a list of them, one of them whole, the ones beside it.

Rules of this file: read-only. Lists are newest first by (sensor's time, month, number), a total order, so that paging
neither repeats nor leaves out an alert while new ones arrive.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from dataclasses import dataclass
from typing import Any

from appliance.wire.snml import Detail, Encoding, Event, Sensor, SnmlError, decode_event
from collector_client.store.connect import translated
from collector_client.store.errors import NoSuchAlertError, StoreError
from collector_client.store.filter import AlertFilter, condition
from collector_client.store.fleet import tenants
from collector_client.store.reader import Reader

_ALERT_ID = re.compile(r"(\d{4}-\d{2})-(\d{1,18})", re.ASCII)
_GONE = "its month may have been dropped by retention"


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One alert in a list. `alert_id` is `<month>-<number>`; site and assurance are those of when it came."""

    alert_id: str
    sensor_id: str
    tenant: str
    site: str
    assurance: str
    ts_sensor_ns: int
    ts_received_ns: int
    gid: int
    sid: int
    rev: int
    msg: str
    classtype: str | None
    priority: int | None
    proto: int | None
    src_ip: str | None
    src_port: int | None
    dst_ip: str | None
    dst_port: int | None
    flow_id: int | None
    community_id: str | None
    app_proto: str | None
    epoch: int
    seq: int
    event_uuid: str | None


@dataclass(frozen=True, slots=True)
class AlertDetail:
    """One alert whole: the stored element and what it and its sensor say.

    `xml_sha256` is that of when it came; `intact`: the element still has it.
    """

    row: AlertRow
    event: Event
    sensor: Sensor
    xml: bytes
    xml_sha256: str
    intact: bool


_ROW = (
    "alert_id, alerts.sensor_id, alerts.tenant_id, site_id, assurance, ts_ns, received_ns, gid, sid, rev, msg,"
    " classtype, priority, proto, src_ip, src_port, dst_ip, dst_port, flow_id, community_id, app_proto, alerts.epoch,"
    " seq, event_uuid"
)


def alerts(reader: Reader, chosen: AlertFilter, limit: int, before: str | None = None) -> list[AlertRow]:
    """Newest first, at most `limit`; `before` is the alert_id of the last one of the page before.

    Raises:
        NoSuchAlertError: `before` is no alert here.
        StoreError: a file cannot be read.
    """
    return _list(reader, chosen, limit, before, newest_first=True)


def _list(reader: Reader, chosen: AlertFilter, limit: int, after: str | None, *, newest_first: bool) -> list[AlertRow]:
    """The first `limit` alerts that follow `after` in the asked-for direction."""
    where, values = condition(reader.control, chosen)
    start = None
    if after is not None:
        month, number, _ = _find(reader, after)
        start = (alert_row(reader, after).ts_sensor_ns, month, number)
    beyond, direction = ("<", "DESC") if newest_first else (">", "ASC")
    found: list[tuple[tuple[int, str, int], AlertRow]] = []
    with translated("listing alerts"):
        names = _names(reader)
        for month, file in reader.months(chosen.since_ns, chosen.until_ns):
            bound, more = "1", list[object]()
            if start is not None:
                bound = f"(ts_ns {beyond} ? OR (ts_ns = ? AND (? {beyond} ? OR (? = ? AND alert_id {beyond} ?))))"
                more = [start[0], start[0], month, start[1], month, start[1], start[2]]
            sql = (
                f"SELECT {_ROW} FROM alerts JOIN batches USING (batch_id) WHERE {where} AND {bound}"  # noqa: S608
                f" ORDER BY ts_ns {direction}, alert_id {direction} LIMIT ?"
            )
            rows = file.execute(sql, [*values, *more, limit])
            found += [((row[5], month, row[0]), _alert_row(names, month, row)) for row in rows]
    found.sort(key=lambda item: item[0], reverse=newest_first)
    return [row for _, row in found[:limit]]


def neighbours(reader: Reader, row: AlertRow) -> tuple[str | None, str | None]:
    """The ids of the next newer and the next older alert of the same signature at the same tenant.

    Raises:
        StoreError: a file cannot be read.
    """
    chosen = AlertFilter(tenant=row.tenant, gid=row.gid, sid=row.sid)
    older = alerts(reader, chosen, 1, row.alert_id)
    newer = _list(reader, chosen, 1, row.alert_id, newest_first=False)
    return (newer[0].alert_id if newer else None), (older[0].alert_id if older else None)


def alert_row(reader: Reader, alert_id: str) -> AlertRow:
    """The row of one alert.

    Raises:
        NoSuchAlertError: there is none of that id.
        StoreError: its file cannot be read.
    """
    month, number, file = _find(reader, alert_id)
    with translated("reading an alert"):
        sql = f"SELECT {_ROW} FROM alerts JOIN batches USING (batch_id) WHERE alert_id = ?"  # noqa: S608
        row = file.execute(sql, (number,)).fetchone()
        if row is None:
            raise NoSuchAlertError(f"alert {alert_id} is not here", advice=_GONE)
        return _alert_row(_names(reader), month, row)


def alert(reader: Reader, alert_id: str) -> AlertDetail:
    """One alert with its event decoded again from the stored bytes.

    Raises:
        NoSuchAlertError: there is none of that id.
        StoreError: its file cannot be read, or its bytes are damaged.
    """
    row = alert_row(reader, alert_id)
    _, number, file = _find(reader, alert_id)
    with translated("reading an alert"):
        found = file.execute(
            "SELECT xml, evidence.sha256, body FROM evidence JOIN alerts USING (alert_id) JOIN batches USING (batch_id)"
            " JOIN descriptions USING (description_id) WHERE alert_id = ?",
            (number,),
        ).fetchone()
    if found is None:
        raise StoreError(f"alert {alert_id} has no evidence", advice="run: vedette-collector verify")
    xml, digest, body = found
    sensor = _sensor(body)
    try:
        event = decode_event(xml, sensor.encoding)
    except SnmlError as error:
        raise StoreError(f"alert {alert_id}: {error}", advice="run: vedette-collector verify") from error
    return AlertDetail(row, event, sensor, xml, digest.hex(), intact=hashlib.sha256(xml).digest() == digest)


def _find(reader: Reader, alert_id: str) -> tuple[str, int, sqlite3.Connection]:
    found = _ALERT_ID.fullmatch(alert_id)
    if not found:
        raise NoSuchAlertError(f"alert id {alert_id[:40]!r} came, <YYYY-MM>-<number> is allowed")
    file = reader.month(found[1])
    if file is None:
        raise NoSuchAlertError(f"alert {alert_id} is not here", advice=_GONE)
    return found[1], int(found[2]), file


def _names(reader: Reader) -> tuple[dict[int, str], dict[int, str]]:
    return tenants(reader), dict(reader.control.execute("SELECT site_id, name FROM sites"))


def _alert_row(names: tuple[dict[int, str], dict[int, str]], month: str, row: tuple[Any, ...]) -> AlertRow:
    tenant, site = names[0].get(row[2], "?"), names[1].get(row[3], "?")
    return AlertRow(f"{month}-{row[0]}", row[1], tenant, site, *row[4:])


def _sensor(body: str) -> Sensor:
    fields = json.loads(body)
    return Sensor(**{**fields, "encoding": Encoding(fields["encoding"]), "detail": Detail(fields["detail"])})
