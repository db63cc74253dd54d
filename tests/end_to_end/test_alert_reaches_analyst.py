"""Packets on a wire in, an alert on the analyst's side out: the product's main job, with live capture.

Real processes throughout; the wire is a virtual Ethernet pair, the traffic is recorded.
"""

from __future__ import annotations

import os
import signal
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.wire import play, veth_pair
from tests.loop import ROOT, Loop

PCAPS = ROOT / "tests" / "traffic" / "pcaps"

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

SHELLSHOCK = 1000016


@pytest.fixture
def live(tmp_path: Path) -> Iterator[tuple[Loop, str]]:
    """A running pair whose sensor watches one end of a wire; gives the other end's name."""
    ours, theirs = f"vtx{os.getpid() % 100000}", f"vrx{os.getpid() % 100000}"
    with veth_pair(ours, theirs):
        loop = Loop(tmp_path, capture=f'interfaces = ["{theirs}"]')
        loop.prepare()
        loop.sensor.start()
        yield loop, ours
        loop.close()


def until_stored(loop: Loop, sid: int, count: int) -> list[dict[str, object]]:
    """The alerts of a rule once there are that many, as the collector lists them."""
    for _ in range(600):
        found = [alert for alert in loop.alerts() if alert["sid"] == sid]
        if len(found) >= count:
            return found
        assert loop.sensor.process is not None
        assert loop.sensor.process.poll() is None, loop.sensor.said()
    raise AssertionError(f"sid {sid}: {len(found)} of {count} alerts; sensor:\n{loop.sensor.said()}")


def test_an_attack_on_the_wire_is_on_the_analysts_page(live: tuple[Loop, str]) -> None:
    loop, port = live
    sent = play(PCAPS / "http-probe.pcap", port)
    (alert,) = until_stored(loop, SHELLSHOCK, 1)
    assert (alert["tenant"], alert["site"], alert["assurance"]) == ("demo-tenant", "loopback", "software")
    assert (alert["src_ip"], alert["dst_ip"]) == ("198.51.100.66", "192.0.2.80")
    with urllib.request.urlopen(f"{loop.page}alerts/{alert['alert_id']}", timeout=10) as answer:
        page = answer.read().decode()
    assert "Shellshock" in page
    assert "software" in page
    counters = loop.status()["capture"]["counters"]
    assert counters["packets"] >= sent
    assert counters["kernel_drops"] == 0


def test_new_rules_arrive_without_losing_a_packet(live: tuple[Loop, str], tmp_path: Path) -> None:
    loop, port = live
    play(PCAPS / "http-probe.pcap", port)
    until_stored(loop, SHELLSHOCK, 1)
    before = loop.status()["rules"]
    assert loop.sensor.process is not None
    rules = tmp_path / "new.rules"
    rules.write_text('alert udp any any -> any any (msg:"any datagram"; sid:77; rev:1;)\n', encoding="utf-8")
    text = loop.config.read_text(encoding="utf-8")
    loop.config.write_text(text.replace("paths = []", f'paths = ["{rules}"]'), encoding="utf-8")
    loop.sensor.process.send_signal(signal.SIGHUP)
    while loop.status()["rules"]["generation"] == before["generation"]:
        assert loop.sensor.process.poll() is None, loop.sensor.said()
    play(PCAPS / "dns-benign.pcap", port)
    assert until_stored(loop, 77, 1)
    assert loop.status()["capture"]["counters"]["kernel_drops"] == 0


def test_a_stopped_sensor_leaves_nothing_behind(live: tuple[Loop, str]) -> None:
    loop, port = live
    play(PCAPS / "http-probe.pcap", port)
    until_stored(loop, SHELLSHOCK, 1)
    assert loop.sensor.stop() == 0
    found = len(loop.alerts())
    loop.sensor.start()
    status = loop.status()
    assert status["spool"]["waiting"] == 0
    assert status["spool"]["accepted"] == found


def test_the_box_itself_says_that_its_key_is_a_file(tmp_path: Path) -> None:
    loop = Loop(tmp_path, capture=f'files = ["{PCAPS / "http-probe.pcap"}"]\nwhen_done = "stay"')
    loop.prepare()
    loop.sensor.start()
    assert loop.status()["sensor"]["assurance"] == "software"
    words = loop.run([sys.executable, "-m", "appliance", "status", "--config", str(loop.config)])
    assert [line.split() for line in words.splitlines() if "assurance" in line] == [["assurance", "software"]]
    loop.close()
    assert "(assurance: software)" in loop.sensor.said()


def test_the_way_is_the_same_for_a_file(tmp_path: Path) -> None:
    loop = Loop(tmp_path, capture=f'files = ["{PCAPS / "http-probe.pcap"}"]\nwhen_done = "exit"')
    loop.prepare()
    loop.sensor.start()
    assert loop.sensor.wait(60) == 0
    assert [a for a in loop.alerts() if a["sid"] == SHELLSHOCK]
    loop.close()
