"""The starter rules find what is bad in the recorded traffic and are silent on the rest; the captures are the recorded.

The manifest is the table of cases. What is counted are alerts per (sid, source, destination): a rule of the manifest
must fire at least as often as it says, any other alert is a failure.
"""

from __future__ import annotations

import collections
import hashlib
import ipaddress
import tomllib
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MANIFEST: dict[str, Any] = tomllib.loads((HERE / "MANIFEST.toml").read_text())
CAPTURES: list[dict[str, Any]] = MANIFEST["pcap"]
IDS = [Path(capture["file"]).stem for capture in CAPTURES]


@pytest.fixture(scope="module")
def rules() -> Any:
    engine = pytest.importorskip("vedette_engine", reason="the native engine is not built: make setup")
    home = "[" + ",".join(MANIFEST["home_net"]) + "]"
    return engine.RuleSet([str(ROOT / MANIFEST["rules"])], {"HOME_NET": home, "EXTERNAL_NET": "!$HOME_NET"})


def test_every_starter_rule_loads(rules: Any) -> None:
    assert [(refusal.line, refusal.keyword, refusal.reason) for refusal in rules.refused] == []
    assert len(rules.rules) >= 25


def test_every_starter_rule_that_can_alert_is_shown_by_some_capture(rules: Any) -> None:
    shown = {sid for capture in CAPTURES for sid, *_ in capture["expect"]}
    # 1000022 only remembers; 1000038 is about addresses that no lab may use.
    assert {rule.sid for rule in rules.rules} - shown == {1000022, 1000038}


@pytest.mark.parametrize("capture", CAPTURES, ids=IDS)
def test_capture_is_the_one_recorded(capture: dict[str, Any]) -> None:
    data = (HERE / capture["file"]).read_bytes()
    assert (hashlib.sha256(data).hexdigest(), len(data)) == (capture["sha256"], capture["size_bytes"])


def test_no_capture_is_without_an_entry() -> None:
    assert sorted(path.stem for path in (HERE / "pcaps").iterdir()) == sorted(IDS)


@pytest.mark.parametrize("checksums", ["verify", "ignore"])
@pytest.mark.parametrize("capture", CAPTURES, ids=IDS)
def test_alerts_are_those_expected_and_no_others(rules: Any, capture: dict[str, Any], checksums: str) -> None:
    import vedette_engine

    run = vedette_engine.Capture.files([str(HERE / capture["file"])], rules, checksums=checksums)
    found: collections.Counter[tuple[int, str, str]] = collections.Counter()
    while (batch := run.next_batch()) is not None:
        for detection in batch:
            ends = (ipaddress.ip_address(detection.src_ip), ipaddress.ip_address(detection.dest_ip))
            found[(rules.rules[detection.rule].sid, str(ends[0]), str(ends[1]))] += 1
    least = {(sid, source, destination): count for sid, source, destination, count in capture["expect"]}
    assert set(found) == set(least)
    assert {key: (found[key], count) for key, count in least.items() if found[key] < count} == {}
    assert run.warnings() == []
    assert run.stats()["packets"] == capture["packets"]
