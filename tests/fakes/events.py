"""Sensors' events as the collector's ingest would hand them to the store: real SNML, really encoded.

Used wherever a test or a demonstration needs a filled store. Everything goes through the encoder and `Writer`; nothing
is written into the tables from here. All addresses are from the documentation ranges (RFC 5737, RFC 3849).
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence as Many
from dataclasses import dataclass, field
from pathlib import Path

from appliance.wire.heartbeat import Heartbeat, HostHealth, RulesHealth, SpoolHealth
from appliance.wire.snml import (
    Detail,
    Encoding,
    Event,
    EventId,
    Facts,
    Flow,
    IcmpHeader,
    IpHeader,
    Ipv6,
    Ipv6Header,
    Option,
    Raw,
    Reference,
    Rule,
    Sensor,
    Sequence,
    Signature,
    TcpHeader,
    UdpHeader,
    encode_event,
    encode_message_from_fragments,
)
from collector_client.store import BatchToStore, Control, Loss, Rejected, StoredEvent, Writer, audit, sensors, tenants

NS = 1_000_000_000
HOUR_NS = 3_600 * NS
SENSOR = Sensor(Encoding.HEX, Detail.FULL, "branch-box", "192.0.2.250", 4, "eth1")
REQUEST = (
    b"GET /index.php?id=1%27%20UNION%20SELECT%20password HTTP/1.1\r\n"
    b"Host: shop.example\r\nUser-Agent: sqlmap/1.7\r\n\r\n"
)
DNS_QUERY = bytes.fromhex("1a2b010000010000000000000378797a076578616d706c650000010001")


@dataclass(frozen=True)
class Kind:
    """One sort of alert that `event` can make."""

    sid: int
    msg: str
    class_: str | None
    priority: int | None
    transport: str = "tcp"
    dport: int = 80
    data: bytes | None = REQUEST
    app: str | None = None
    facts: tuple[tuple[str, str], ...] = ()
    references: tuple[Reference, ...] = ()
    rev: int = 3


HTTP_FACTS = (
    ("http.method", "GET"),
    ("http.host", "shop.example"),
    ("http.uri", "/index.php?id=1%27%20UNION%20SELECT%20password"),
    ("http.user_agent", "sqlmap/1.7"),
)
REFERENCES = (Reference("cve", "2021-44228"), Reference("url", "owasp.org/www-community/attacks/SQL_Injection"))
KINDS: tuple[Kind, ...] = (
    Kind(1000001, "WEB SQL injection attempt in a query string", "web-application-attack", 1, app="http",
         facts=HTTP_FACTS, references=REFERENCES),
    Kind(1000002, "SCAN many ports by one host", "attempted-recon", 2, dport=4444, data=None),
    Kind(1000003, "DNS query for a domain of the watch list", "bad-unknown", 2, "udp", 53, DNS_QUERY, "dns",
         (("dns.query", "xyz.example"), ("dns.type", "A"))),
    Kind(1000004, "ICMP echo request of unusual size", "misc-activity", 3, "icmp", 0, bytes(range(64))),
    Kind(1000005, "POLICY clear-text password over HTTP", "policy-violation", 1, app="http", facts=HTTP_FACTS[:2]),
    Kind(1000006, "INFO session without TLS", "misc-activity", 3, dport=23, data=b"login: "),
    Kind(1000007, "TLS certificate long expired", None, None, dport=443, data=bytes.fromhex("16030300050e00000100")),
    Kind(1000008, "IPV6 neighbour discovery flood", "attempted-dos", 2, "ipv6"),
)  # fmt: skip


def event(kind: Kind, ts_ns: int, *, source: int = 7, target: int = 80, flow: int = 99) -> Event:
    """One event of that kind between two numbered hosts, without its sequence number."""
    extensions: list[object] = [
        EventId(f"00000000-0000-4000-8000-{ts_ns % (1 << 48):012x}"),
        Rule(1, kind.sid, kind.rev),
        Flow(flow, "1:LQU9qZlK+B5F3KDmev6m5PMibrg=", True, kind.app),
    ]
    if kind.facts:
        extensions.append(Facts(kind.facts))
    signature = Signature(kind.msg, kind.sid, kind.rev, kind.class_, kind.priority)
    packet: IpHeader | Raw
    if kind.transport == "ipv6":
        payload = bytes.fromhex("8700f2a400000000") + bytes(16)
        header = Ipv6Header(
            f"2001:db8::{source:x}", f"2001:db8::{target:x}", 58, 6, 0, 0x12345, len(payload), 255, 40 + len(payload),
            IcmpHeader(135, 0, 0xF2A4),
        )  # fmt: skip
        octets = bytes.fromhex("60012345") + len(payload).to_bytes(2, "big") + b"\x3a\xff"
        octets += bytes.fromhex("20010db8") + bytes(10) + source.to_bytes(2, "big")
        octets += bytes.fromhex("20010db8") + bytes(10) + target.to_bytes(2, "big") + payload
        packet = Raw(octets)
        extensions.append(Ipv6(header))
    else:
        packet = _ipv4(kind, source, target)
    return Event(signature, kind.references, ts_ns, packet, tuple(extensions))  # type: ignore[arg-type]


def _ipv4(kind: Kind, source: int, target: int) -> IpHeader:
    sport, size = 40_000 + source, len(kind.data or b"")
    if kind.transport == "tcp":
        proto, l4 = 6, TcpHeader(
            sport, kind.dport, 0x18 if size else 0x02, 3_735_928_559, 1_024, 8, 0, 501, 0xBEEF, 0,
            (Option(2, b"\x05\xb4"), Option(3, b"\x07")),
        )  # fmt: skip
    elif kind.transport == "udp":
        proto, l4 = 17, UdpHeader(sport, kind.dport, 8 + size, 0x1234)  # type: ignore[assignment]
    else:
        proto, l4 = 1, IcmpHeader(8, 0, 0xF7FF, 77, 1)  # type: ignore[assignment]
    return IpHeader(
        f"198.51.100.{source}",
        f"203.0.113.{target}",
        proto,
        4,
        5,
        0,
        40 + size,
        0x1A2B,
        2,
        0,
        63,
        0xABCD,
        (),
        l4,
        kind.data,
    )


def stored(ready: Event, epoch: int, seq: int, sensor: Sensor = SENSOR) -> StoredEvent:
    """An event with its number, encoded as the sensor would."""
    numbered = ready.with_extensions(Sequence(epoch, seq))
    return StoredEvent(seq, numbered, encode_event(numbered, sensor.encoding, sensor.detail))


@dataclass
class EventSource:
    """One enrolled sensor that numbers its events."""

    sensor_id: str
    epoch: int = 5
    seq: int = 0
    description: Sensor = field(default_factory=lambda: SENSOR)

    def batch(
        self, events: Many[Event], received_ns: int, *, rejected: Many[Rejected] = (), losses: Many[Loss] = ()
    ) -> BatchToStore:
        """The next batch with these events."""
        first = self.seq + 1
        ready = [stored(item, self.epoch, first + number, self.description) for number, item in enumerate(events)]
        self.seq += len(ready)
        document = encode_message_from_fragments(self.description, [item.xml for item in ready])
        digest = hashlib.sha256(document).digest()
        return BatchToStore(
            self.sensor_id,
            self.epoch,
            first,
            max(self.seq, first),
            digest,
            received_ns,
            self.description,
            ready,
            rejected,
            losses,
        )


def enroll(
    directory: Path, sensor_id: str, *, tenant: str = "acme", site: str = "hq", label: str = "", now_ns: int = NS,
    assurance: str = "software", not_after_ns: int | None = None,
) -> EventSource:  # fmt: skip
    """Give a sensor its record; the store is made when there is none."""
    control = Control.open(directory) if (directory / "control.db").exists() else Control.create(directory)
    with control.transaction() as connection:
        place = tenants.ensure_site(connection, tenant, site, now_ns)
        sensors.add(
            connection,
            sensor_id,
            place.site_id,
            label=label,
            assurance=assurance,
            now_ns=now_ns,
            cert_not_after_ns=not_after_ns,
        )
        audit.record(connection, now_ns, "test", "enroll", sensor_id)
    control.close()
    return EventSource(sensor_id)


def heartbeat(now_ns: int, sensor: EventSource, *, waiting: int = 0, drops: int = 0, refused: int = 0) -> str:
    """A heartbeat's text as the ingest would keep it."""
    return Heartbeat(
        sent_ts_ns=now_ns,
        started_ts_ns=now_ns - 41 * HOUR_NS,
        version="0.1.0",
        engine_version="0.1.0",
        host=HostHealth(23.5, 0.7, 41.0, 37.0, 11 * 1024**3, 52.0),
        spool=SpoolHealth(sensor.epoch, sensor.seq + waiting + 1, waiting, waiting * 900, now_ns - HOUR_NS),
        rules=RulesHealth("ab" * 32, 24_000, refused),
        clock_skew_ms=3,
        capture={"packets": 12_345_678, "kernel_drops": drops},
    ).to_json().decode()  # fmt: skip


def fill(
    writer: Writer, sensor: EventSource, now_ns: int, *, count: int, hours: int, seed: int, kinds: Many[Kind] = KINDS
) -> None:
    """Store `count` events spread unevenly over the last `hours`, in batches, repeatable by `seed`."""
    dice = random.Random(seed)
    times = sorted(
        now_ns - int(abs(dice.gauss(0.35, 0.22)) * hours * HOUR_NS) % (hours * HOUR_NS) for _ in range(count)
    )
    weights = [1 / (number + 1) for number in range(len(kinds))]
    events = [
        event(
            dice.choices(kinds, weights)[0],
            ts,
            source=dice.randint(1, 40),
            target=dice.randint(60, 75),
            flow=dice.getrandbits(62),
        )
        for ts in times
    ]
    for start in range(0, len(events), 200):
        chunk = events[start : start + 200]
        writer.store_batch(sensor.batch(chunk, min(now_ns, chunk[-1].timestamp_ns + NS)))
