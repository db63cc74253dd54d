"""EVE records with Suricata's names and values; text lines that stay lines."""

from __future__ import annotations

import json

import pytest

from appliance.engine.eve import Sources, eve_line, eve_record, proto_name
from appliance.engine.text import text_line
from tests.appliance.engine.detections import FakeDetection, FakeRule, ipv4, ipv6

FILES = Sources(["a.pcap", "b.pcap"])
PING = {"proto": 1, "src_port": 0, "dest_port": 0, "packet": ipv4(b"\x08\x00\x12\x34\x00\x07\x00\x01", 1)}


def test_an_http_alert_has_every_field_and_no_other() -> None:
    detection = FakeDetection(
        source=1,
        app_proto="http",
        tx_id=0,
        facts=[("http.host", b"a.example"), ("http.url", b"/\xff"), ("http.method", b"GET"), ("http.status", b"404")],
    )
    rule = FakeRule(metadata=[("tag", "a"), ("tag", "b")])
    assert json.loads(eve_line(detection, rule, FILES)) == {
        "timestamp": "2024-01-02T03:04:05.678901+0000",
        "flow_id": 77,
        "pcap_filename": "b.pcap",
        "event_type": "alert",
        "src_ip": "198.51.100.7",
        "src_port": 3012,
        "dest_ip": "192.0.2.80",
        "dest_port": 80,
        "proto": "TCP",
        "tx_id": 0,
        "alert": {
            "action": "allowed",
            "gid": 1,
            "signature_id": 1002,
            "rev": 5,
            "signature": "probe",
            "category": "Web Application Attack",
            "severity": 1,
            "metadata": {"tag": ["a", "b"]},
        },
        "http": {"hostname": "a.example", "url": "/\\xff", "http_method": "GET", "status": 404},
        "app_proto": "http",
        "direction": "to_server",
    }


def test_icmp_has_type_and_code_and_no_ports() -> None:
    record = eve_record(FakeDetection(**PING), FakeRule(), FILES)
    assert (record["proto"], record["icmp_type"], record["icmp_code"]) == ("ICMP", 8, 0)
    assert not record.keys() & {"src_port", "dest_port"}
    six = FakeDetection(
        proto=58, src_ip="2001:db8::1", dest_ip="2001:db8::2", packet=ipv6(b"\x80\x00\x00\x00\x00\x00\x00\x00", 58)
    )
    record = eve_record(six, FakeRule(), FILES)
    assert (record["proto"], record["icmp_type"], record["src_ip"]) == ("IPv6-ICMP", 128, "2001:db8::1")


def test_dns_queries_are_listed_with_their_types() -> None:
    facts = [("dns.rrname", b"a.example"), ("dns.rrtype", b"A"), ("dns.rrname", b"b.example"), ("dns.rrtype", b"AAAA")]
    record = eve_record(FakeDetection(proto=17, app_proto="dns", facts=facts), FakeRule(), FILES)
    assert record["dns"] == {
        "version": 3,
        "type": "request",
        "queries": [{"rrname": "a.example", "rrtype": "A"}, {"rrname": "b.example", "rrtype": "AAAA"}],
    }


def test_no_flow_no_id_and_a_live_source_is_an_interface() -> None:
    record = eve_record(FakeDetection(flow_id=0), FakeRule(), Sources(["eth0"], live=True))
    assert "flow_id" not in record
    assert record["in_iface"] == "eth0"
    assert "pcap_filename" not in record


@pytest.mark.parametrize(
    ("proto", "name"), [(6, "TCP"), (44, "IPv6-Frag"), (4, "IP-in-IP"), (132, "SCTP"), (253, "253"), (99, "099")]
)
def test_protocol_names(proto: int, name: str) -> None:
    assert proto_name(proto) == name


def test_text_lines() -> None:
    assert text_line(FakeDetection(), FakeRule()) == (
        "01/02/2024-03:04:05.678901  [**] [1:1002:5] probe [**] [Classification: Web Application Attack] [Priority: 1]"
        " {TCP} 198.51.100.7:3012 -> 192.0.2.80:80"
    )
    assert text_line(FakeDetection(**PING), FakeRule()).endswith("{ICMP} 198.51.100.7:8 -> 192.0.2.80:0")
    six = FakeDetection(src_ip="2001:db8::1", dest_ip="2001:db8::2")
    assert text_line(six, FakeRule()).endswith("{TCP} [2001:db8::1]:3012 -> [2001:db8::2]:80")


def test_whatever_a_rule_says_an_alert_is_one_line() -> None:
    rule = FakeRule(msg="a\r\nforged\x1b[2J", category="c\n")
    assert "\n" not in text_line(FakeDetection(), rule)
    assert "\x1b" not in text_line(FakeDetection(), rule)
    assert eve_line(FakeDetection(facts=[("http.url", b"\n\x00")]), rule, FILES).count(b"\n") == 1
