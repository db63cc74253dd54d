"""The page's pure parts: parameters, numbers of the time line, references, dumps, and the pins of the browser files."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector_client.analyst import chart, params, present, vendor
from collector_client.analyst.health import sensor_cards
from collector_client.analyst.hexdump import as_text, hexdump
from collector_client.store.fleet import SensorRow

ANALYST = Path(vendor.__file__).parent
NS = 1_000_000_000
NAMES = ("range", "since", "until", "tenant", "sensor", "q", "priority")


@given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=40)))
def test_any_query_string_is_a_choice_or_one_named_error(query: dict[str, str]) -> None:
    try:
        choice = params.parse(query)
    except params.ParamError:
        return
    choice.filter(1_795_500_000 * NS)


@given(
    st.sampled_from([None, *(value for value, _, _ in params.RANGES)]),
    st.none() | st.integers(0, 1 << 32),
    st.none() | st.integers(1, 255),
    st.none() | st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).map(str.strip).filter(bool),
)
def test_a_choice_survives_its_own_link(
    chosen: str | None, since_s: int | None, priority: int | None, text: str | None
) -> None:
    choice = params.Choice("custom" if since_s is not None else chosen, since_s, None, text, None, text, priority)
    query = {name: values[0] for name, values in parse_qs(choice.query(), keep_blank_values=True).items()}
    assert params.parse(query) == choice


@given(st.integers(0, 1 << 33), st.integers(0, 1 << 33))
def test_the_time_line_never_has_more_bars_than_it_may(first_s: int, span_s: int) -> None:
    width_s = chart.width_for(span_s + 1)
    made = chart.build(first_s, first_s + span_s, width_s, [])
    assert len(made.starts_s) <= chart.MAX_BUCKETS
    assert all(start % width_s == 0 for start in made.starts_s)
    assert made.starts_s[0] <= first_s
    assert made.starts_s[-1] + width_s > first_s + span_s


def test_every_alert_is_in_one_bar_of_its_priority() -> None:
    made = chart.build(0, 299, 60, [(60, {1: 2, 2: 3, 3: 4, 4: 5, 0: 6}), (240, {1: 1})])
    assert made.starts_s == [0, 60, 120, 180, 240]
    assert made.counts == [[0, 2, 0, 0, 1], [0, 3, 0, 0, 0], [0, 4, 0, 0, 0], [0, 11, 0, 0, 0]]
    assert (made.totals, made.total, made.peak) == ([3, 3, 4, 11], 21, (60, 20))


def test_an_alert_from_a_clock_far_ahead_stretches_the_line_only_so_far() -> None:
    made = chart.build(0, 3600, 60, [(0, {1: 1}), (60 * 10**6, {1: 1})])
    assert len(made.starts_s) == chart.MAX_BUCKETS


@given(st.integers(1, 144), st.dictionaries(st.integers(0, 143), st.integers(1, 10**6)))
def test_a_small_trend_stays_in_its_box(span: int, filled: dict[int, int]) -> None:
    made = chart.build(0, span * 60 - 1, 60, [])
    for position, top, height in chart.spark(made, {at * 60: count for at, count in filled.items()}):
        assert 0 <= position < chart.SPARK_BARS
        assert top + height == chart.SPARK_HEIGHT
        assert height >= 2


@pytest.mark.parametrize(
    ("system", "text", "href"),
    [
        ("url", "example.org/a?b=c", "http://example.org/a?b=c"),
        ("url", "https://example.org/", "https://example.org/"),
        ("URL", "example.org:8080/x", "http://example.org:8080/x"),
        ("cve", "2021-44228", "https://nvd.nist.gov/vuln/detail/CVE-2021-44228"),
        ("cve", "CVE-2021-44228", "https://nvd.nist.gov/vuln/detail/CVE-2021-44228"),
        ("cve", "../../evil", None),
        ("bugtraq", "1234", None),
        ("url", "javascript:alert(1)", None),
        ("url", "JaVaScRiPt:alert(1)", None),
        ("url", "data:text/html;base64,AAAA", None),
        ("url", "vbscript:x", None),
        ("url", "file:///etc/passwd", None),
        ("url", "//evil.example/", None),
        ("url", "https://user@evil.example/", None),
        ("url", "https://a b/", None),
        ("url", "https://a\\b", None),
        ("url", "http://[broken", None),
        ("url", "", None),
    ],
)
def test_only_plain_web_addresses_become_links(system: str, text: str, href: str | None) -> None:
    assert present.reference(system, text).href == href


@given(st.text(max_size=60))
def test_no_reference_breaks_the_page(text: str) -> None:
    href = present.reference("url", text).href
    assert href is None or re.match(r"https?://", href)


@given(st.binary(max_size=200))
def test_a_hex_dump_can_be_read_back(data: bytes) -> None:
    lines = hexdump(data).splitlines()
    assert bytes.fromhex("".join(line[10:58] for line in lines)) == data
    assert all(int(line[:8], 16) == 16 * number for number, line in enumerate(lines))


def test_a_dump_is_bounded_and_text_has_no_control_characters() -> None:
    assert len(hexdump(bytes(100_000)).splitlines()) == 1024
    assert as_text(b"a\r\nb\tc\x00\x1b[31m\xff\x85") == "a\nb\tc··[31m··"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (90, "90 s"),
        (3_600, "1 h"),
        (7_300, "2 h"),
        (86_400, "1 d"),
        (150_000, "41 h"),
    ],
)
def test_a_duration_is_short_and_loses_little(seconds: int, shown: str) -> None:
    assert present.duration(seconds) == shown


@pytest.mark.parametrize(
    ("address", "port", "shown"),
    [
        ("192.0.2.1", 80, "192.0.2.1:80"),
        ("2001:db8::1", 80, "[2001:db8::1]:80"),
        ("2001:db8::1", None, "2001:db8::1"),
        (None, 80, "masked:80"),
        (None, None, "masked"),
    ],
)
def test_an_endpoint_reads_as_people_write_it(address: str | None, port: int | None, shown: str) -> None:
    assert present.endpoint(address, port) == shown


def test_browser_packages_are_pinned_by_version_and_hash_and_name_no_registry() -> None:
    wanted = json.loads((ANALYST / "package.json").read_text())["dependencies"]
    text = (ANALYST / "package-lock.json").read_text()
    packages = json.loads(text)["packages"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted.values())
    for name, version in wanted.items():
        locked = packages[f"node_modules/{name}"]
        assert locked["version"] == version
        assert locked["integrity"].startswith("sha512-")
    assert set(packages) == {"", *(f"node_modules/{name}" for name in wanted)}
    assert "resolved" not in text


def test_the_browser_files_in_place_are_the_pinned_ones() -> None:
    if not vendor.VENDOR.is_dir():
        pytest.skip("the browser files are not set up: run make setup")
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in vendor.VENDOR.iterdir()}
    assert found == {name: digest for _, name, digest in vendor.FILES}


def test_pages_and_scripts_carry_nothing_inline_and_nothing_foreign() -> None:
    for path in [*(ANALYST / "templates").glob("*.html"), *(ANALYST / "static").glob("*.js")]:
        text = path.read_text()
        assert not re.search(r"\son[a-z]+=|\sstyle=|hx-on|javascript:|\binnerHTML\b|\beval\(", text), path.name
        assert "|safe" not in text, path.name
        assert not re.search(r"<script(?![^>]*\bsrc=)", text), path.name


@pytest.mark.parametrize(
    ("supervisor", "shown"),
    [
        (None, {}),
        ({"state": "absent", "last_reset": ""}, {"Supervisor": ("absent", "off")}),
        (
            {"state": "up", "last_reset": "power-on", "temperature_c": 41.4, "voltage_mv": 12_040},
            {
                "Supervisor": ("up", "ok"),
                "Last reset": ("power-on", "ok"),
                "Board": ("41 °C", "ok"),
                "Supply": ("12.04 V", "ok"),
            },
        ),
        (
            {"state": "hold", "last_reset": "beats-stopped", "temperature_c": 71.0, "voltage_mv": None},
            {"Supervisor": ("hold", "warn"), "Last reset": ("beats-stopped", "warn"), "Board": ("71 °C", "warn")},
        ),
    ],
)
def test_a_box_that_stood_still_has_colour(
    supervisor: dict[str, object] | None, shown: dict[str, tuple[str, str]]
) -> None:
    row = SensorRow("s-1", "", "t", "s", "software", "on time", None, None, None, health={"supervisor": supervisor})
    (card,) = sensor_cards([row], {}, 0)
    assert {name: (line.text, line.level) for name, line in card.host} == shown


@pytest.mark.parametrize(
    ("assurance", "hours", "level"),
    [
        ("tpm", 24 * 8, "ok"),
        ("tpm", 24, "warn"),
        ("secure-element", 24, "ok"),
        ("secure-element", 6, "ok"),
        ("secure-element", 3, "warn"),
        ("secure-element", -1, "bad"),
    ],
)
def test_a_certificate_of_a_day_worries_nobody_until_its_renewal_is_late(
    assurance: str, hours: int, level: str
) -> None:
    row = SensorRow("s-one", "", "acme", "north", assurance, "on time", hours * 3600 * 10**9, None, None)
    (card,) = sensor_cards([row], {}, 0)
    assert card.certificate.level == level
