"""Every case folder through the engine, with either matcher; and the folders are those that the tables make."""

from __future__ import annotations

import collections
import ipaddress
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.cases import make

HERE = Path(__file__).parent
FOLDERS = sorted(path.parent for path in HERE.glob("*/expect.toml"))


def load(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "expect.toml").read_text())


RUNS = [
    pytest.param(folder, number, id=f"{folder.name}-{number}")
    for folder in FOLDERS
    for number in range(len(load(folder)["run"]))
]


def test_folders_are_those_of_the_tables() -> None:
    assert [folder.name for folder in FOLDERS] == sorted(case.name for case in make.CASES)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_folder_is_as_its_table_makes_it(folder: Path, tmp_path: Path) -> None:
    case = next(case for case in make.CASES if case.name == folder.name)
    make.write_pcap(tmp_path / "input.pcap", case.datagrams, case.interval_us)
    assert (folder / "input.pcap").read_bytes() == (tmp_path / "input.pcap").read_bytes()
    assert (folder / "expect.toml").read_text() == make.expectations(case)


@pytest.mark.parametrize("matcher", ["vectorscan", "aho-corasick"])
@pytest.mark.parametrize(("folder", "number"), RUNS)
def test_case_gives_exactly_its_alerts(folder: Path, number: int, matcher: str) -> None:
    engine = pytest.importorskip("vedette_engine", reason="the native engine is not built: make setup")
    expected = load(folder)
    variables = {"HOME_NET": expected["home_net"], "EXTERNAL_NET": "!$HOME_NET"}
    rules = engine.RuleSet([str(folder / "test.rules")], variables, matcher=matcher)
    assert [(refusal.sid, refusal.keyword, refusal.reason) for refusal in rules.refused] == []
    options = dict(expected["run"][number])
    alerts = {(sid, source, target): count for sid, source, target, count in options.pop("alerts")}
    capture = engine.Capture.files([str(folder / "input.pcap")], rules, **options)
    found: collections.Counter[tuple[int, str, str]] = collections.Counter()
    while (batch := capture.next_batch()) is not None:
        for detection in batch:
            source, target = (str(ipaddress.ip_address(ip)) for ip in (detection.src_ip, detection.dest_ip))
            found[(rules.rules[detection.rule].sid, source, target)] += 1
    assert dict(found) == alerts
