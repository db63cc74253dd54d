"""The page's answers over real stores: what they show, what they refuse, and that hostile text stays text."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from appliance.wire.snml import Detail, Encoding, Reference, Sensor
from collector_client.pki import Authority
from collector_client.pki.profile import ISSUING_DAYS
from collector_client.store import Control, Writer, heartbeats, sensors
from tests.collector_client.analyst.visitor import Visitor
from tests.fakes.clock import FakeClock
from tests.fakes.events import KINDS, NS, EventSource, Kind, enroll, event, fill, heartbeat

NOW = 1_795_500_000 * NS
EVIL = "\"><script>alert(1)</script><img src=x onerror=alert(2)>'{{ 7*7 }}"
EVIL_KIND = Kind(
    6660001, EVIL, "trojan-activity", 1, app="http", data=EVIL.encode() + b"\xff\x00",
    facts=(("http.user_agent", EVIL), ("http.uri", EVIL)),
    references=(
        Reference("url", "javascript:alert(5)"), Reference("url", "data:text/html,x"), Reference(EVIL[:20], EVIL),
    ),
)  # fmt: skip


@pytest.fixture
def sensor(tmp_path: Path) -> EventSource:
    return enroll(tmp_path, "s-one", label="hq-1", tenant="Acme", not_after_ns=NOW + 3 * 86_400 * NS)


@pytest.fixture
def client(tmp_path: Path, sensor: EventSource) -> Iterator[Visitor]:
    with Visitor(tmp_path, FakeClock(NOW)) as client:
        yield client


def store(directory: Path, sensor: EventSource, kinds: list[Kind], ts_ns: int = NOW - 60 * NS) -> None:
    writer = Writer.open(directory, FakeClock())
    writer.store_batch(sensor.batch([event(kind, ts_ns + number) for number, kind in enumerate(kinds)], NOW))
    writer.close()


class Tags(HTMLParser):
    """Every start tag with its attributes, and the text in between."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.badges: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.tags and (self.tags[-1][1].get("class") or "").startswith("badge"):
            self.badges.append(data)


PAGES = ("/", "/?range=all", "/group?gid=1&sid=6660001", "/alerts/2026-11-1", "/sensors")


@pytest.mark.parametrize("path", PAGES)
def test_hostile_text_is_shown_and_never_becomes_markup(
    tmp_path: Path, sensor: EventSource, client: Visitor, path: str
) -> None:
    enroll(tmp_path, "s-evil", label=EVIL, site=EVIL, tenant=EVIL)
    store(tmp_path, sensor, [EVIL_KIND])
    answer = client.get(path)
    assert answer.status == 200
    page = Tags(answer.text)
    assert EVIL in page.text
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name == "style" or name.startswith(("on", "hx-on"))]
        if tag == "script":
            assert (attributes.get("src") or "").startswith("/static/")
        if tag in ("a", "img", "form", "link"):
            where = attributes.get("href") or attributes.get("src") or attributes.get("action") or ""
            assert not where or where.startswith(("/", "http://", "https://", "#")), where
    assert "49" not in page.text.split(EVIL)[0][-20:], "text is never a template"


def test_what_a_visitor_sends_is_escaped_too(tmp_path: Path, sensor: EventSource, client: Visitor) -> None:
    store(tmp_path, sensor, KINDS[:1])  # type: ignore[arg-type]
    for path in ("/", "/group"):
        answer = client.get(path, params={"q": EVIL, "tenant": EVIL, "gid": "1", "sid": "1", "range": "all"})
        assert answer.status == 200
        assert "<script>alert" not in answer.text
    for query in ({"range": EVIL}, {"priority": EVIL}, {"since": EVIL}):
        answer = client.get("/", params=query)
        assert answer.status == 400
        assert "<script>alert" not in answer.text
    assert "<script>alert" not in client.get(f"/alerts/{EVIL.replace('/', '')}").text


@pytest.mark.parametrize("path", [*PAGES, "/nowhere", "/static/app.css", "/alerts/2026-11-1/snml", "/?range=bogus"])
def test_every_answer_carries_the_strict_policy(
    tmp_path: Path, sensor: EventSource, client: Visitor, path: str
) -> None:
    store(tmp_path, sensor, [EVIL_KIND])
    headers = client.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == ("no-cache" if path.startswith("/static/") else "no-store")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost@evil", "", "[::2]:80", "a b"]
)
def test_a_foreign_name_that_points_here_is_refused(client: Visitor, host: str) -> None:
    answer = client.get("/", headers={"Host": host})
    assert answer.status == 421
    assert "collector.toml" in answer.text


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8080", "[::1]:8080"])
def test_our_own_names_are_answered(client: Visitor, host: str) -> None:
    assert client.get("/", headers={"Host": host}).status == 200


def test_a_name_that_was_allowed_is_answered(tmp_path: Path, sensor: EventSource) -> None:
    with Visitor(tmp_path, FakeClock(NOW), hosts=("soc.example",)) as client:
        assert client.get("/", headers={"Host": "soc.example:8080"}).status == 200
        assert client.get("/", headers={"Host": "localhost"}).status == 421


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_nothing_but_get_is_allowed(client: Visitor, method: str) -> None:
    assert client.request(method, "/").status == 405


@pytest.mark.parametrize(
    "path", ["/static/../web.py", "/static/%2e%2e/web.py", "/static/..%2fweb.py", "/static//etc/passwd"]
)
def test_static_files_stay_in_their_folder(client: Visitor, path: str) -> None:
    answer = client.get(path)
    assert answer.status == 404
    assert "import" not in answer.text


def test_an_empty_store_says_what_to_do_next(tmp_path: Path) -> None:
    Control.create(tmp_path).close()
    with Visitor(tmp_path, FakeClock(NOW)) as client:
        for path in ("/", "/sensors"):
            assert "vedette-collector token new" in client.get(path).text


@pytest.mark.parametrize("production", [True, False])
def test_every_page_says_whether_keys_in_software_are_taken(tmp_path: Path, production: bool) -> None:
    Control.create(tmp_path).close()
    with Visitor(tmp_path, FakeClock(NOW), production=production) as visitor:
        shown = visitor.get("/sensors").text
    assert ("keys in hardware only" in shown, ">production</span>" in shown) == (production, production)


def test_sensors_without_alerts_lead_to_the_sensors_page(client: Visitor) -> None:
    answer = client.get("/")
    assert "No alerts yet" in answer.text
    assert 'href="/sensors"' in answer.text


def test_without_a_chosen_range_old_alerts_are_found_by_widening(
    tmp_path: Path, sensor: EventSource, client: Visitor
) -> None:
    store(tmp_path, sensor, [KINDS[0]], ts_ns=NOW - 4_000 * 86_400 * NS)
    answer = client.get("/")
    assert KINDS[0].msg in answer.text
    assert '<option value="all" selected' in answer.text
    chosen = client.get("/?range=24h")
    assert KINDS[0].msg not in chosen.text
    assert "Show all time" in chosen.text


def test_one_alert_shows_rule_sensor_packet_and_the_exact_bytes(
    tmp_path: Path, sensor: EventSource, client: Visitor
) -> None:
    store(tmp_path, sensor, [KINDS[0]])
    text = Tags(client.get("/alerts/2026-11-1").text).text
    for shown in (
        KINDS[0].msg, "1:1000001 revision 3", "web-application-attack", "CVE-2021-44228", "software key", "hq-1",
        "s-one", "198.51.100.7:40007", "203.0.113.80:80", "sqlmap/1.7", "PSH, ACK", "time to live",
        "1:LQU9qZlK+B5F3KDmev6m5PMibrg=",
        "47 45 54 20 2f 69 6e 64", "|GET /index.php?i|", "2026-11-24 05:59:00",
    ):  # fmt: skip
        assert shown in text, shown
    saved = client.get("/alerts/2026-11-1/snml")
    assert saved.content.startswith(b"<event>")
    assert saved.headers["content-type"] == "application/octet-stream"
    assert saved.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize(
    ("assurance", "badge"),
    [
        ("software", "software key"),
        ("tpm-unlisted", "unlisted TPM key"),
        ("secure-element", "secure element key"),
        ("tpm", "tpm key"),
    ],
)
def test_every_page_and_what_it_saves_says_where_the_key_lives(tmp_path: Path, assurance: str, badge: str) -> None:
    store(tmp_path, enroll(tmp_path, "s-one", assurance=assurance), [KINDS[0]])
    with Visitor(tmp_path, FakeClock(NOW)) as client:
        for path in ("/?range=all", "/group?gid=1&sid=1000001", "/alerts/2026-11-1", "/sensors"):
            page = Tags(client.get(path).text)
            assert badge in page.badges, path
        saved = client.get("/alerts/2026-11-1/snml")
    assert saved.headers["Vedette-Assurance"] == assurance
    assert f'filename="alert-2026-11-1-{assurance}-key.xml"' in saved.headers["Content-Disposition"]


def test_the_sensors_page_says_who_is_in_quarantine_why_and_the_way_out(tmp_path: Path, client: Visitor) -> None:
    control = Control.open(tmp_path)
    with control.transaction() as connection:
        sensors.quarantine(connection, "s-one", "two boxes: two runs speak in turn", NOW)
    control.close()
    page = Tags(client.get("/sensors").text)
    assert "quarantined 1" in " ".join(page.text.split())
    assert "in quarantine: two boxes: two runs speak in turn" in page.text
    assert "vedette-collector release" in page.text


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.transport + str(kind.sid))
@pytest.mark.parametrize("encoding", list(Encoding))
@pytest.mark.parametrize("detail", list(Detail))
def test_every_kind_of_packet_can_be_shown(
    tmp_path: Path, sensor: EventSource, client: Visitor, kind: Kind, encoding: Encoding, detail: Detail
) -> None:
    sensor.description = Sensor(encoding, detail, "box", file="/captures/a.pcap")
    ready = event(kind, NOW)
    writer = Writer.open(tmp_path, FakeClock())
    writer.store_batch(sensor.batch([ready], NOW))
    writer.close()
    answer = client.get("/alerts/2026-11-1")
    assert answer.status == 200
    assert kind.msg in Tags(answer.text).text
    assert ("detail fast" in answer.text) == (detail is Detail.FAST)


def test_htmx_gets_the_changing_part_alone(tmp_path: Path, sensor: EventSource, client: Visitor) -> None:
    store(tmp_path, sensor, [KINDS[0]])
    for path in ("/", "/group?gid=1&sid=1000001", "/sensors"):
        part = client.get(path, headers={"HX-Request": "true"})
        assert part.text.lstrip().startswith('<section id="results"')
        assert part.headers["Vary"] == "HX-Request"
    broken = client.get("/?range=bogus", headers={"HX-Request": "true"})
    assert broken.status == 400
    assert broken.text.lstrip().startswith('<section id="results"')


def test_a_long_list_is_paged_to_its_end(tmp_path: Path, sensor: EventSource, client: Visitor) -> None:
    writer = Writer.open(tmp_path, FakeClock())
    fill(writer, sensor, NOW, count=230, hours=5, seed=1, kinds=KINDS[:1])
    writer.close()
    seen: list[str] = []
    path: str | None = "/group?gid=1&sid=1000001"
    while path:
        links = [tag[1] for tag in Tags(client.get(path).text).tags if tag[0] == "a"]
        seen += [str(link["href"]) for link in links if "row-link" in (link.get("class") or "")]
        path = next((str(link["href"]) for link in links if "before=" in str(link["href"])), None)
    assert len(seen) == len(set(seen)) == 230


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nowhere", 404),
        ("/alerts/2026-11-7", 404),
        ("/alerts/x", 404),
        ("/group", 400),
        ("/group?gid=1", 400),
        ("/group?gid=1&sid=x", 400),
        ("/?range=5y", 400),
        ("/?priority=0", 400),
        ("/?since=yesterday", 400),
        ("/?since=2026-11-24T00:00:00Z&until=2026-11-23T00:00:00Z", 400),
        ("/group?gid=1&sid=1&before=nothing", 404),
        (f"/?q={'x' * 201}", 400),
    ],
)
def test_what_cannot_be_shown_says_so(client: Visitor, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status == status
    assert "All alerts" in answer.text


def test_a_store_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with Visitor(tmp_path / "gone", FakeClock(NOW)) as client:
        answer = client.get("/")
    assert answer.status == 503
    assert "no such store" in answer.text


def test_sensors_show_state_key_certificate_spool_drops_and_gaps(
    tmp_path: Path, sensor: EventSource, client: Visitor
) -> None:
    sensor.seq = 5
    store(tmp_path, sensor, [KINDS[0]])
    control = Control.open(tmp_path)
    with control.transaction() as connection:
        body = heartbeat(NOW - 5 * NS, sensor, waiting=812, drops=5120, refused=17)
        heartbeats.record(connection, "s-one", NOW - 5 * NS, body)
    control.close()
    text = Tags(client.get("/sensors").text).text
    for shown in (
        "on time",
        "software key",
        "3 d left",
        "812 waiting",
        "5\u202f120",
        "5 missing",
        "1\u20135",
        "17 refused",
        "52 °C",
    ):
        assert shown in text, shown


def test_an_alert_whose_bytes_rotted_is_not_shown_as_evidence(
    tmp_path: Path, sensor: EventSource, client: Visitor
) -> None:
    store(tmp_path, sensor, [KINDS[0], KINDS[1]])
    connection = sqlite3.connect(tmp_path / "alerts-2026-11.db")
    connection.execute("UPDATE evidence SET xml = CAST(REPLACE(xml, 'SQL', 'SQX') AS BLOB) WHERE alert_id = 1")
    connection.execute("UPDATE evidence SET xml = x'00ff' WHERE alert_id = 2")
    connection.commit()
    connection.close()
    assert "no longer have the SHA-256" in client.get("/alerts/2026-11-1").text
    assert client.get("/alerts/2026-11-2").status == 503


def test_the_sensors_page_warns_of_an_issuing_ca_that_ends_soon(tmp_path: Path) -> None:
    Authority.create(tmp_path / "pki", ["localhost"], NOW - (ISSUING_DAYS - 30) * 86_400 * NS)
    Control.create(tmp_path).close()
    with Visitor(tmp_path, FakeClock(NOW)) as client:
        assert "the issuing CA issuing ends in 30 days" in Tags(client.get("/sensors").text).text
