"""The analyst's questions over several months, tenants and sensors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from collector_client.store import Control, Loss, Rejected, Writer, heartbeats, query, sensors
from collector_client.store.reader import Reader
from collector_client.store.retention import expired_months
from tests.fakes.clock import FakeClock
from tests.fakes.events import KINDS, NS, EventSource, enroll, event, heartbeat

NOVEMBER = 1_795_500_000 * NS
DECEMBER = 1_796_500_000 * NS
NOW = DECEMBER + 60 * NS


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """Two tenants; acme's signature 1000001 spans two months."""
    acme, globex = enroll(tmp_path, "s-acme", label="hq-1"), enroll(tmp_path, "s-globex", tenant="globex")
    writer = Writer.open(tmp_path, FakeClock())
    web, scan, dns = KINDS[:3]
    writer.store_batch(acme.batch([event(web, NOVEMBER + n * NS, source=n) for n in range(1, 6)], NOVEMBER + 9 * NS))
    writer.store_batch(acme.batch([event(web, DECEMBER + n * NS, source=n) for n in range(4, 9)], DECEMBER + 9 * NS))
    writer.store_batch(acme.batch([event(scan, DECEMBER, source=1)] * 3, DECEMBER + 9 * NS))
    writer.store_batch(
        globex.batch([event(web, DECEMBER, source=1), event(dns, DECEMBER, source=2)], DECEMBER + 9 * NS)
    )
    writer.close()
    with Reader.open(tmp_path, FakeClock(NOW)) as reader:
        yield reader


def test_groups_merge_the_months_and_count_distinct_hosts_once(reader: Reader) -> None:
    found = {(group.tenant, group.sid): group for group in query.alert_groups(reader, query.AlertFilter())}
    assert set(found) == {("acme", 1000001), ("acme", 1000002), ("globex", 1000001), ("globex", 1000003)}
    web = found["acme", 1000001]
    assert (web.count, web.src_ips, web.dst_ips, web.sensors) == (10, 8, 1, 1)
    assert (web.first_ts_ns, web.last_ts_ns) == (NOVEMBER + NS, DECEMBER + 8 * NS)


def test_a_signature_has_every_assurance_its_alerts_came_with_the_weakest_first(tmp_path: Path) -> None:
    raised = enroll(tmp_path, "s-raised")
    others = [enroll(tmp_path, f"s-{level}", assurance=level) for level in ("tpm", "tpm-unlisted")]
    writer = Writer.open(tmp_path, FakeClock())
    writer.store_batch(raised.batch([event(KINDS[0], NOVEMBER)], NOVEMBER))
    control = Control.open(tmp_path)
    with control.transaction() as connection:
        connection.execute("UPDATE sensors SET assurance = 'tpm' WHERE sensor_id = 's-raised'")
    control.close()
    for sensor in (raised, *others):
        writer.store_batch(sensor.batch([event(KINDS[0], DECEMBER), event(KINDS[1], DECEMBER)], DECEMBER))
    writer.close()
    web, scan = ("acme", 1, KINDS[0].sid), ("acme", 1, KINDS[1].sid)
    with Reader.open(tmp_path, FakeClock(NOW)) as reader:
        found = query.assurances(reader, query.AlertFilter(), {web, scan})
        assert found == {web: ("software", "tpm-unlisted", "tpm"), scan: ("tpm-unlisted", "tpm")}
        assert query.assurances(reader, query.AlertFilter(since_ns=DECEMBER), {web}) == {web: ("tpm-unlisted", "tpm")}
        assert query.assurances(reader, query.AlertFilter(sensor_id="s-tpm"), {web}) == {web: ("tpm",)}


def test_groups_come_most_urgent_first(reader: Reader) -> None:
    assert [group.priority for group in query.alert_groups(reader, query.AlertFilter())] == [1, 1, 2, 2]


def test_a_sensor_that_makes_up_signatures_does_not_make_an_endless_list(tmp_path: Path) -> None:
    sensor = enroll(tmp_path, "s-one")
    writer = Writer.open(tmp_path, FakeClock())
    urgent = replace(KINDS[0], sid=7, msg="the real one", priority=1)
    flood = [event(replace(KINDS[0], sid=n, msg=f"made up {n}", priority=3), DECEMBER + n) for n in range(100, 160)]
    writer.store_batch(sensor.batch([event(urgent, NOVEMBER), *flood], DECEMBER))
    writer.close()
    with Reader.open(tmp_path, FakeClock(NOW)) as reader:
        groups = query.alert_groups(reader, query.AlertFilter(), 10)
        trends = query.trends(reader, query.AlertFilter(), 3600, {("acme", group.gid, group.sid) for group in groups})
    assert [group.sid for group in groups] == [7, *range(159, 150, -1)]
    assert len(trends) <= 10


def test_a_group_has_the_words_of_its_newest_alert(tmp_path: Path) -> None:
    sensor = enroll(tmp_path, "s-one")
    writer = Writer.open(tmp_path, FakeClock())
    old, new = replace(KINDS[0], msg="old words"), replace(KINDS[0], msg="new words", rev=4)
    writer.store_batch(sensor.batch([event(new, DECEMBER), event(old, NOVEMBER)], DECEMBER))
    writer.close()
    with Reader.open(tmp_path, FakeClock(NOW)) as reader:
        (group,) = query.alert_groups(reader, query.AlertFilter())
    assert (group.msg, group.count) == ("new words", 2)


@pytest.mark.parametrize(
    ("chosen", "count"),
    [
        (query.AlertFilter(), 15),
        (query.AlertFilter(tenant="acme"), 13),
        (query.AlertFilter(tenant="nobody"), 0),
        (query.AlertFilter(sensor_id="s-globex"), 2),
        (query.AlertFilter(sid=1000001), 11),
        (query.AlertFilter(gid=2), 0),
        (query.AlertFilter(src_ip="198.51.100.1"), 5),
        (query.AlertFilter(dst_ip="203.0.113.80"), 15),
        (query.AlertFilter(priority_max=1), 11),
        (query.AlertFilter(since_ns=DECEMBER), 10),
        (query.AlertFilter(until_ns=DECEMBER), 5),
        (query.AlertFilter(since_ns=DECEMBER, until_ns=DECEMBER), 0),
        (query.AlertFilter(text="SQL inj"), 11),
        (query.AlertFilter(text="sql INJ"), 11),
        (query.AlertFilter(text="%"), 0),
        (query.AlertFilter(text="_"), 0),
        (query.AlertFilter(text="' OR 1=1 --"), 0),
        (query.AlertFilter(text="1000002"), 3),
        (query.AlertFilter(text="198.51.100.2"), 2),
        (query.AlertFilter(text="9" * 30), 0),
    ],
)
def test_every_question_agrees_on_what_a_filter_means(reader: Reader, chosen: query.AlertFilter, count: int) -> None:
    assert len(query.alerts(reader, chosen, 1000)) == count
    groups = query.alert_groups(reader, chosen)
    assert sum(group.count for group in groups) == count
    assert sum(sum(counts.values()) for _, counts in query.timeline(reader, chosen, 3600)) == count
    shown = {(group.tenant, group.gid, group.sid) for group in groups}
    assert sum(sum(buckets.values()) for buckets in query.trends(reader, chosen, 3600, shown).values()) == count
    assert (query.time_span(reader, chosen) == (None, None)) == (count == 0)


def test_paging_goes_over_every_alert_once_newest_first(reader: Reader) -> None:
    whole = query.alerts(reader, query.AlertFilter(), 1000)
    paged: list[query.AlertRow] = []
    before = None
    while rows := query.alerts(reader, query.AlertFilter(), 4, before):
        paged += rows
        before = rows[-1].alert_id
    assert [row.alert_id for row in paged] == [row.alert_id for row in whole]
    assert len({row.alert_id for row in paged}) == 15
    assert [row.ts_sensor_ns for row in paged] == sorted((row.ts_sensor_ns for row in paged), reverse=True)


def test_neighbours_walk_one_signature_of_one_tenant_both_ways(reader: Reader) -> None:
    rows = query.alerts(reader, query.AlertFilter(tenant="acme", sid=1000001), 100)
    names = [row.alert_id for row in rows]
    for at, row in enumerate(rows):
        newer = names[at - 1] if at else None
        older = names[at + 1] if at + 1 < len(names) else None
        assert query.neighbours(reader, row) == (newer, older)


def test_an_alert_comes_back_as_the_event_that_was_sent(tmp_path: Path) -> None:
    sensor = enroll(tmp_path, "s-one")
    writer = Writer.open(tmp_path, FakeClock())
    batch = sensor.batch([event(kind, NOVEMBER + number) for number, kind in enumerate(KINDS)], NOVEMBER)
    writer.store_batch(batch)
    writer.close()
    with Reader.open(tmp_path, FakeClock(NOW)) as reader:
        for row in query.alerts(reader, query.AlertFilter(), 100):
            detail = query.alert(reader, row.alert_id)
            sent = batch.events[row.seq - 1]
            assert (detail.event, detail.xml, detail.sensor) == (sent.event, sent.xml, batch.sensor)
            assert detail.intact
            assert detail.row == row


@pytest.mark.parametrize(
    "alert_id", ["", "x", "2026-11-", "2026-11-999", "2026-13-1", "1999-01-1", "../../etc-1", "2026-11-1'"]
)
def test_an_id_of_no_alert_is_named(reader: Reader, alert_id: str) -> None:
    with pytest.raises(query.NoSuchAlertError):
        query.alert(reader, alert_id)


def test_a_reader_can_change_nothing(reader: Reader) -> None:
    (_, file), *_ = reader.months()
    for connection, table in ((reader.control, "tenants"), (file, "alerts")):
        with pytest.raises(Exception, match=r"readonly|read-only|query_only"):
            connection.execute(f"DELETE FROM {table}")  # noqa: S608


def test_a_sensor_is_on_time_then_late_then_lost_and_revoked_for_good(tmp_path: Path) -> None:
    sensor = enroll(tmp_path, "s-one", not_after_ns=NOW)
    clock = FakeClock(NOW)

    def state() -> str:
        with Reader.open(tmp_path, clock) as reader:
            return query.sensors(reader)[0].state

    assert state() == "never seen"
    control = Control.open(tmp_path)
    with control.transaction() as connection:
        heartbeats.record(connection, "s-one", NOW, heartbeat(NOW, sensor, waiting=3))
    assert state() == "on time"
    clock.advance(200)
    assert state() == "late"
    clock.advance(800)
    assert state() == "lost"
    with control.transaction() as connection:
        sensors.revoke(connection, "s-one", "stolen", NOW)
    control.close()
    assert state() == "revoked"


def test_a_sensor_row_tells_gaps_from_declared_losses(tmp_path: Path) -> None:
    sensor = enroll(tmp_path, "s-one")
    writer = Writer.open(tmp_path, FakeClock())
    writer.store_batch(sensor.batch([event(KINDS[0], NOVEMBER)], NOVEMBER))
    sensor.seq = 10
    refused = [Rejected(None, "c", "", "", b"?")]
    late = sensor.batch(
        [event(KINDS[0], NOVEMBER + 5)], NOVEMBER + 9, losses=[Loss(8, 10, "spool-full")], rejected=refused
    )
    writer.store_batch(late)
    writer.close()
    with Reader.open(tmp_path, FakeClock(NOVEMBER)) as reader:
        (row,) = query.sensors(reader)
        assert query.refused_events(reader) == {"s-one": 1}
    assert (row.gaps, row.losses, row.stored_to, row.alerts, row.epoch) == ([(2, 7)], [(8, 10)], 11, 2, 5)
    assert (row.last_alert_ts_ns, row.state, row.assurance) == (NOVEMBER + 5, "on time", "software")


def test_a_sensor_with_only_a_record_is_shown(tmp_path: Path) -> None:
    assert isinstance(enroll(tmp_path, "s-one", label="new box"), EventSource)
    with Reader.open(tmp_path, FakeClock(NOW)) as reader:
        (row,) = query.sensors(reader)
    assert (row.label, row.health, row.gaps, row.epoch) == ("new box", {}, [], None)


@pytest.mark.parametrize(
    ("keep", "gone"),
    [(0, ["2026-09", "2026-10", "2026-11"]), (1, ["2026-09", "2026-10"]), (3, []), (12, [])],
)
def test_retention_drops_whole_months_and_never_the_current_one(keep: int, gone: list[str]) -> None:
    present = ["2026-09", "2026-10", "2026-11", "2026-12"]
    assert expired_months(present, NOW, keep) == gone


def test_retention_counts_months_over_a_new_year() -> None:
    assert expired_months(["2025-11", "2025-12", "2026-01"], 1_768_000_000 * NS, 1) == ["2025-11"]


@pytest.mark.parametrize(
    ("text", "found"), [("100% C", 1), ("CPU_load", 1), ("C:\\x", 1), ("100_", 0), ("CPU%load", 0)]
)
def test_wildcards_in_a_search_are_plain_characters(tmp_path: Path, text: str, found: int) -> None:
    sensor = enroll(tmp_path, "s-one")
    writer = Writer.open(tmp_path, FakeClock())
    writer.store_batch(sensor.batch([event(replace(KINDS[0], msg="100% CPU_load in C:\\x"), NOVEMBER)], NOVEMBER))
    writer.close()
    with Reader.open(tmp_path, FakeClock(NOW)) as reader:
        assert len(query.alerts(reader, query.AlertFilter(text=text), 10)) == found
