"""`vedette doctor` on boxes that are really ill: each failure by its own check, and what depends on it is skipped."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.cli.main import main
from appliance.clock import SystemClock
from appliance.config.sections import CaptureSection, IdentitySection, SensorSection
from appliance.doctor import CheckName, Patient, Result, State
from appliance.doctor.checks import dns
from appliance.spool import Spool
from collector_client.config import Config as CollectorConfig
from collector_client.store import Control, sensors
from tests.appliance.doctor.box import Box
from tests.appliance.uplink.box import render
from tests.collector_client.harness import DAY_NS, Collector
from tests.fakes.collector import FakeCollector
from tests.fakes.pki import Authority
from tests.fakes.proxy import FakeProxy

ROOT = Path(__file__).parents[3]
N = CheckName


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    made = Collector(tmp_path / "collector").start()
    yield made
    made.stop()


@pytest.fixture
def box(tmp_path: Path, collector: Collector) -> Box:
    return Box(tmp_path / "box", collector).enroll()


def only_failure(found: dict[CheckName, Result]) -> tuple[CheckName, Result]:
    """The one check that failed; it says what to do."""
    ((check, result),) = [(check, result) for check, result in found.items() if result.state is State.FAILED]
    assert result.advice
    return check, result


def test_a_healthy_box_has_nothing_that_fails_and_is_left_as_it_was(box: Box) -> None:
    before = sorted(path for path in box.folder.rglob("*"))
    found = box.doctor()
    states = {check: result.state for check, result in found.items()}
    skipped = {
        N.PROXY: State.SKIPPED,
        N.TOKEN: State.SKIPPED,
        N.SPOOL: State.SKIPPED,
        N.KEY: State.WARNING,
        N.SUPERVISOR: State.SKIPPED,
    }
    assert states == {check: skipped.get(check, State.OK) for check in N}, found
    assert sorted(path for path in box.folder.rglob("*")) == before
    assert box.collector.control("SELECT COUNT(*) FROM heartbeats") == [(0,)]


def test_a_box_before_its_enrollment_is_looked_at_by_the_pin(tmp_path: Path, collector: Collector) -> None:
    box = Box(tmp_path / "new", collector)
    box.at(token=collector.token())
    found = box.doctor()
    assert found[N.TLS_CHAIN].state is found[N.NAME].state is found[N.TOKEN].state is State.OK
    assert "enroll" in found[N.CERTIFICATE].advice
    assert all(result.state is not State.FAILED for result in found.values())
    assert collector.control("SELECT used_by FROM tokens") == [(None,)]


def dead_port(box: Box) -> None:
    box.at(urls=("https://127.0.0.1:1",))


def no_collector(box: Box) -> None:
    box.at(urls=())


def fast_clock(box: Box) -> None:
    box.skew_ns = 3600 * 10**9


def revoked(box: Box) -> None:
    control = Control.open(box.collector.directory)
    with control.transaction() as connection:
        name = str(box.collector.control("SELECT sensor_id FROM sensors")[0][0])
        sensors.revoke(connection, name, "stolen", box.wall_ns())
    control.close()


def in_quarantine(box: Box) -> None:
    control = Control.open(box.collector.directory)
    with control.transaction() as connection:
        name = str(box.collector.control("SELECT sensor_id FROM sensors")[0][0])
        sensors.quarantine(connection, name, "two runs speak in turn", box.wall_ns())
    control.close()


def dead_proxy(box: Box) -> None:
    box.at(proxy="http://127.0.0.1:1")


def lost_key(box: Box) -> None:
    (box.state / "identity" / "key.pem").write_text("rubbish")


def exposed_key(box: Box) -> None:
    (box.state / "identity" / "key.pem").chmod(0o644)


def no_rules(box: Box) -> None:
    (box.folder / "my.rules").unlink()


def only_refused_rules(box: Box) -> None:
    (box.folder / "my.rules").write_text('alert udp any any -> any any (msg:"x"; no-such-keyword; sid:1;)\n')


def no_capture_file(box: Box) -> None:
    (box.folder / "wire.pcap").unlink()


def no_interface(box: Box) -> None:
    box.config = replace(box.config, capture=CaptureSection(interfaces=("no-such-if",)))


def nothing_to_watch(box: Box) -> None:
    box.config = replace(box.config, capture=CaptureSection())


def torn_spool(box: Box) -> None:
    path = box.state / "spool"
    spool = Spool.open(path, max_bytes=1 << 20, segment_bytes=4096, clock=box, random_epoch=lambda: 7)
    spool.append([(1, render)] * 3)
    spool.close()
    (segment,) = path.glob("*.seg")
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 0xFF
    segment.write_bytes(data)


ILL: list[tuple[Callable[[Box], None], CheckName, str]] = [
    (no_collector, N.ADDRESS, "none came"),
    (dead_port, N.TCP, "Connection refused"),
    (fast_clock, N.CLOCK, "3600 s ahead of"),
    (revoked, N.CERTIFICATE, "SENSOR_REVOKED"),
    (in_quarantine, N.CERTIFICATE, "two runs speak in turn"),
    (dead_proxy, N.TCP, "127.0.0.1:1: Connection refused"),
    (lost_key, N.CERTIFICATE, "key.pem"),
    (exposed_key, N.CERTIFICATE, "0644"),
    (no_rules, N.RULES, "my.rules"),
    (only_refused_rules, N.RULES, "0 loaded, 1 refused"),
    (no_capture_file, N.CAPTURE, "no such file"),
    (no_interface, N.CAPTURE, "no-such-if: no such interface"),
    (nothing_to_watch, N.CAPTURE, "neither interfaces nor files"),
    (torn_spool, N.SPOOL, ""),
]


@pytest.mark.parametrize(("spoil", "check", "says"), ILL, ids=[spoil.__name__ for spoil, _, _ in ILL])
def test_each_illness_is_named_by_one_check(
    box: Box, spoil: Callable[[Box], None], check: CheckName, says: str
) -> None:
    spoil(box)
    failed, result = only_failure(box.doctor())
    assert failed is check
    assert says in result.text


def test_what_depends_on_a_failure_is_skipped_and_says_so(box: Box) -> None:
    dead_port(box)
    found = box.doctor()
    for check in (N.TLS_CHAIN, N.NAME, N.CLOCK, N.QUOTA):
        assert found[check].state is State.SKIPPED
        assert "must hold first" in found[check].text
    assert found[N.CERTIFICATE].state is State.OK, "its dates are judged without the collector"


def test_an_expired_certificate_is_named_with_the_way_out(tmp_path: Path, collector: Collector) -> None:
    collector.clock.ahead_ns = -40 * DAY_NS
    box = Box(tmp_path / "box", collector)
    box.skew_ns = -40 * DAY_NS
    box.enroll()
    box.skew_ns = 0
    failed, result = only_failure(box.doctor())
    assert failed is N.CERTIFICATE
    assert "--renew" in result.advice


def test_a_clock_behind_makes_clock_and_certificate_fail(tmp_path: Path, collector: Collector) -> None:
    box = Box(tmp_path / "box", collector).enroll()
    box.skew_ns = -20 * DAY_NS
    failed = {check for check, result in box.doctor().items() if result.state is State.FAILED}
    assert failed == {N.CLOCK, N.CERTIFICATE}


@pytest.mark.parametrize("token", ["", "t-abc", "t-abcdefghijkl.short"])
def test_a_token_that_is_missing_or_torn_is_named(tmp_path: Path, collector: Collector, token: str) -> None:
    box = Box(tmp_path / "new", collector)
    box.at(token=token)
    failed, result = only_failure(box.doctor())
    assert failed is N.TOKEN
    assert "token new" in result.advice


def test_a_token_file_that_is_gone_is_named(tmp_path: Path, collector: Collector) -> None:
    box = Box(tmp_path / "new", collector)
    box.at(token_file=str(tmp_path / "none"))
    assert only_failure(box.doctor())[0] is N.TOKEN


def test_a_name_without_an_address_is_named(box: Box) -> None:
    box.at(urls=("https://collector.invalid",))
    result = dns.check(Patient(box.config, box))
    assert result.state is State.FAILED
    assert "collector.invalid" in result.text


def test_a_proxy_that_wants_a_password_is_named_and_one_that_works_is_used(box: Box) -> None:
    with FakeProxy(authorization="Basic x") as proxy:
        box.at(proxy=f"http://127.0.0.1:{proxy.port}")
        failed, result = only_failure(box.doctor())
        assert failed is N.PROXY
        assert "password" in result.text
    with FakeProxy() as proxy:
        box.at(proxy=f"http://127.0.0.1:{proxy.port}")
        found = box.doctor()
        assert found[N.PROXY].state is found[N.CERTIFICATE].state is found[N.QUOTA].state is State.OK


@pytest.mark.parametrize(
    ("answer", "says"),
    [(b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "502"), (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "proxy")],
    ids=["cannot reach the collector", "is no proxy"],
)
def test_a_proxy_that_does_not_connect_us_is_named(box: Box, answer: bytes, says: str) -> None:
    with FakeProxy(answer=answer) as proxy:
        box.at(proxy=f"http://127.0.0.1:{proxy.port}")
        failed, result = only_failure(box.doctor())
    assert failed is N.PROXY
    assert says in result.text


def test_a_proxy_that_opens_the_traffic_is_named(box: Box, tmp_path: Path) -> None:
    opened = Authority("Inspection")
    with FakeCollector(opened, opened.server(tmp_path)) as inspector, FakeProxy() as proxy:
        box.at(urls=(inspector.url,), proxy=f"http://127.0.0.1:{proxy.port}")
        failed, result = only_failure(box.doctor())
    assert failed is N.TLS_CHAIN
    assert "pinned CA" in result.text
    assert "TLS-inspecting proxy" in result.advice


def test_a_server_of_another_ca_is_named(box: Box, tmp_path: Path) -> None:
    other = Authority("Other")
    with FakeCollector(other, other.server(tmp_path)) as middleman:
        box.at(urls=(middleman.url,))
        failed, result = only_failure(box.doctor())
    assert failed is N.TLS_CHAIN
    assert "pinned CA" in result.text


@pytest.mark.parametrize(
    ("host", "days", "check"),
    [("127.0.0.1", (-9, -1), N.TLS_CHAIN), ("collector.example", (-1, 30), N.NAME)],
    ids=["out of date", "for another name"],
)
def test_a_servers_certificate_that_does_not_fit_is_named(
    tmp_path: Path, collector: Collector, host: str, days: tuple[float, float], check: CheckName
) -> None:
    authority = Authority()
    box = Box(tmp_path / "new", collector)
    with FakeCollector(authority, authority.server(tmp_path, host=host, days=days)) as fake:
        box.at(urls=(fake.url,), ca_pin=authority.pin, token=collector.token())
        assert only_failure(box.doctor())[0] is check


def test_another_pin_is_named(tmp_path: Path, collector: Collector) -> None:
    box = Box(tmp_path / "new", collector)
    box.at(ca_pin="0" * 64, token=collector.token())
    failed, result = only_failure(box.doctor())
    assert failed is N.TLS_CHAIN
    assert "ca_pin" in result.advice


def one_a_minute(config: CollectorConfig) -> CollectorConfig:
    return replace(config, quota=replace(config.quota, sensor_events_per_minute=1))


def test_a_quota_that_is_used_up_is_named(tmp_path: Path) -> None:
    collector = Collector(tmp_path / "collector", one_a_minute).start()
    try:
        box = Box(tmp_path / "box", collector).enroll()
        box.doctor()
        failed, result = only_failure(box.doctor())
        assert failed is N.QUOTA
        assert "SENSOR_QUOTA" in result.text
    finally:
        collector.stop()


def test_a_state_folder_that_is_none_is_named(box: Box) -> None:
    (box.state / "file").write_text("")
    box.config = replace(box.config, sensor=SensorSection(state_dir=str(box.state / "file")))
    found = box.doctor()
    assert found[N.DISK].state is State.FAILED
    box.config = replace(box.config, sensor=SensorSection(state_dir=str(box.state / "none")))
    assert "no such folder" in box.doctor()[N.DISK].text


def test_a_clock_that_says_what_is_over_is_named_with_what_is_known(box: Box) -> None:
    box.skew_ns = -SystemClock().wall_ns()
    result = box.doctor()[N.CLOCK]
    assert result.state is State.FAILED
    assert result.text.startswith("the clock says 1970-01-01")
    assert "set_clock = true" in result.advice


def test_without_a_tpm_the_key_fails_by_name_and_nothing_else_is_taken(tmp_path: Path, collector: Collector) -> None:
    box = Box(tmp_path / "box", collector)
    box.config = replace(box.config, identity=IdentitySection(tcti="device:/dev/no-such-tpm"))
    (result,) = [found for check, found in box.doctor().items() if check is N.KEY]
    assert result.state is State.FAILED
    assert 'key_store = "software"' in result.advice
    assert not box.state.joinpath("identity").exists()


def written(folder: Path, url: str) -> Path:
    path = folder / "vedette.toml"
    path.write_text(f'[sensor]\nstate_dir = "{folder}"\n[collector]\nurls = ["{url}"]\nca_pin = "{"0" * 64}"\n')
    return path


def test_the_command_ends_with_one_and_prints_advice_or_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = str(written(tmp_path, "https://127.0.0.1:1"))
    assert main(["doctor", "--config", config]) == 1
    assert "-> is the collector running?" in capsys.readouterr().out
    assert main(["doctor", "--config", config, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["healthy"] is False
    assert [check["check"] for check in told["checks"]] == [check.value for check in N]


@pytest.mark.root
@pytest.mark.parametrize(
    ("url", "prepare", "check"),
    [
        ("https://127.0.0.1:1", "ip link set lo down", "link"),
        ("https://192.0.2.1:1", "ip link add d0 type veth peer name d1", "link"),
        (
            "https://192.0.2.1:1",
            "ip link add d0 type veth peer name d1 && ip link set d0 up && ip link set d1 up",
            "address",
        ),
    ],
)
def test_a_cable_or_an_address_that_is_missing_is_named(tmp_path: Path, url: str, prepare: str, check: str) -> None:
    config = written(tmp_path, url)
    command = f"{prepare} && exec {sys.executable} -m appliance doctor --json --config {config}"
    done = subprocess.run(["unshare", "--net", "bash", "-c", command], capture_output=True, cwd=ROOT, check=False)
    failed = [item["check"] for item in json.loads(done.stdout)["checks"] if item["state"] == "failed"]
    assert (done.returncode, failed[0]) == (1, check), done.stderr
