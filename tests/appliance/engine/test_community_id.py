"""The values that other tools publish for the same flows."""

from __future__ import annotations

import pytest

from appliance.engine.community_id import community_id

# Flows of the specification's baseline, as other implementations test them; the last from Zeek's own tests.
PUBLISHED = [
    ("66.35.250.204", "128.232.110.120", 6, 80, 34855, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
    ("8.8.8.8", "192.168.1.52", 17, 53, 54585, "1:d/FP5EW3wiY1vCndhwleRRKHowQ="),
    ("192.168.170.8", "192.168.170.56", 132, 7, 7, "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="),
    ("192.168.0.89", "192.168.0.1", 1, 8, 0, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="),
    ("fe80::260:97ff:fe07:69ea", "ff02::1", 58, 134, 0, "1:pkvHqCL88/tg1k4cPigmZXUtL00="),
    ("1.2.3.4", "5.6.7.8", 6, 1122, 3344, "1:wCb3OG7yAFWelaUydu0D+125CLM="),
    ("1.2.3.4", "5.6.7.8", 17, 1122, 3344, "1:0Mu9InQx6z4ZiCZM/7HXi2WMhOg="),
]


@pytest.mark.parametrize(("saddr", "daddr", "proto", "sport", "dport", "expected"), PUBLISHED)
def test_published_values(saddr: str, daddr: str, proto: int, sport: int, dport: int, expected: str) -> None:
    assert community_id(saddr, daddr, proto, sport, dport) == expected
    if proto in (6, 17, 132):
        assert community_id(daddr, saddr, proto, dport, sport) == expected


def test_an_answer_to_a_ping_is_the_same_flow_and_an_error_is_one_way() -> None:
    assert community_id("192.0.2.1", "192.0.2.2", 1, 8, 0) == community_id("192.0.2.2", "192.0.2.1", 1, 0, 0)
    assert community_id("192.0.2.1", "192.0.2.2", 1, 3, 1) != community_id("192.0.2.2", "192.0.2.1", 1, 3, 1)


def test_a_protocol_without_ports_has_none_in_the_hash() -> None:
    assert community_id("192.0.2.1", "192.0.2.2", 47, 0, 0) == community_id("192.0.2.2", "192.0.2.1", 47, 9, 9)
