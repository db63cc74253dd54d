"""A fleet lives through the change of its collector's issuing CA and root: no restart, no visit, no lost alert."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.clock import SystemClock
from appliance.enroll import RenewalPlan, Renewer, renew, standing
from appliance.identity import WrongCaError
from appliance.identity.certificates import parse_pem, spki_der
from appliance.identity.trust import anchors_of
from appliance.wire.codes import SessionCode
from appliance.wire.enrollment import ca_pin
from collector_client.cli import main
from collector_client.config import Config
from collector_client.pki.rollover import changing
from tests.collector_client.harness import Collector
from tests.collector_client.ingest.test_real_sensor import Box
from tests.fakes.sensor import FakeSensor

CLOCK = SystemClock()


def many(config: Config) -> Config:
    """Room for a test that asks again and again whether the collector has followed."""
    ingest = replace(config.ingest, connections_per_minute=1_000_000, newcomers_per_address=10_000)
    return replace(config, quota=replace(config.quota, enrollments_per_minute=10_000), ingest=ingest)


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    made = Collector(tmp_path / "collector", many).start()
    yield made
    made.stop()


class Sensor(Box):
    """A box whose certificate can be renewed; its uplink takes up the new one."""

    def __init__(self, collector: Collector, folder: Path) -> None:
        super().__init__(collector, folder)
        self.plan = RenewalPlan.parse(urls=[f"https://{collector.address}"])

    def renew(self) -> None:
        """Now, and not when it is due."""
        renew(self.plan, self.identity, CLOCK)
        self.uplink.introduce_anew()

    def sends(self, count: int = 3) -> bool:
        """Whether alerts arrive."""
        self.detect(count)
        return self.uplink.drain(CLOCK.monotonic_s() + 60)

    @property
    def roots(self) -> set[str]:
        """The pins of the roots that it trusts."""
        trusted = parse_pem("ca.pem", self.identity.ca_path.read_bytes())
        return {ca_pin(spki_der(root)) for root in anchors_of(trusted)}


class Provider:
    """Who types commands at the collector and at the machine with the root's key."""

    def __init__(self, collector: Collector, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.collector, self._folder, self._capsys = collector, folder, capsys
        self.root_dir = folder / "stick"
        self.root_dir.mkdir(mode=0o700)
        self._number = 0
        assert self.ca("export-root", collector.directory, self.root_dir)[0] == 0

    def ca(self, *words: object) -> tuple[int, str]:
        """A command: its exit code and what it said to standard output and error."""
        code = main(["ca", *map(str, words)])
        said = self._capsys.readouterr()
        return code, said.out + said.err

    def roll_issuing(self) -> str:
        """A new issuing CA under the present root's key; its name."""
        self._number += 1
        request, made = self._folder / f"{self._number}.csr", self._folder / f"{self._number}.pem"
        directory = self.collector.directory
        assert self.ca("request", directory, "--out", request)[0] == 0
        assert self.ca("sign", request, "--root-dir", self.root_dir, "--out", made)[0] == 0
        code, said = self.ca("install", directory, made)
        assert code == 0, said
        self.follow()
        return said.split(":")[0]

    def roll_root(self) -> None:
        """A successor root, trusted beside the old one."""
        new_dir = self._folder / f"root of {self._number}"
        assert self.ca("new-root", "--root-dir", self.root_dir, "--new-dir", new_dir)[0] == 0
        assert self.ca("install", self.collector.directory, new_dir / "root.pem")[0] == 0
        self.root_dir = new_dir
        self.follow()

    def retire(self, *names: str, force: bool = False) -> None:
        """Retire authorities, and wait until the collector follows."""
        for name in names:
            code, said = self.ca("retire", self.collector.directory, name, *(["--force"] if force else []))
            assert code == 0, said
        self.follow()

    def follow(self) -> None:
        """Wait until the running collector tells and shows what the register says."""
        lines = self.show()
        trusted = {line["pin"] for line in lines if line["state"] in ("trusted", "issuing")}
        (issuing,) = [line["subject"] for line in lines if line["state"] == "issuing"]
        until_s = time.monotonic() + 60
        while told(self.collector) != trusted or server_issuer(self.collector) != issuing:
            assert time.monotonic() < until_s, "the collector does not follow"

    def show(self) -> list[dict[str, object]]:
        """What `ca show --json` lists."""
        code, said = self.ca("show", self.collector.directory, "--json")
        assert code == 0, said
        lines: list[dict[str, object]] = json.loads(said)["authorities"]
        return lines

    def sensors_of(self, name: str) -> object:
        """How many hang from an authority."""
        return next(line["sensors"] for line in self.show() if line["name"] == name)


def told(collector: Collector) -> set[object]:
    """Digests of the keys of what /cacerts tells, but for the links between roots, which stay."""
    asking = FakeSensor(collector.address)
    asking.learn_ca()
    came = parse_pem("told", asking.ca_pem)
    return {ca_pin(spki_der(one)) for one in came if one.subject != one.issuer or one in anchors_of(came)}


def server_issuer(collector: Collector) -> str:
    """The name of the CA behind the certificate that the server shows."""
    host, _, port = collector.address.rpartition(":")
    shown = ssl.get_server_certificate((host, int(port)))
    return parse_pem("server", shown.encode())[0].issuer.rfc4514_string()


@pytest.fixture
def provider(collector: Collector, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Provider:
    return Provider(collector, tmp_path, capsys)


@pytest.fixture
def fleet(collector: Collector, tmp_path: Path) -> Iterator[list[Sensor]]:
    made = [Sensor(collector, tmp_path / name) for name in ("north", "south")]
    yield made
    for one in made:
        one.close()


def test_a_fleet_rolls_its_issuing_ca_and_its_root_and_alerts_flow_all_the_time(
    collector: Collector, provider: Provider, fleet: list[Sensor]
) -> None:
    first, second = fleet
    old_pin = collector.pin
    assert provider.roll_issuing() == "issuing-2"
    assert (provider.sensors_of("issuing"), provider.sensors_of("issuing-2")) == (2, 0)
    code, said = provider.ca("retire", collector.directory, "issuing")
    assert (code, "2 sensors hang from issuing" in said) == (2, True)
    assert first.sends()
    assert second.sends()
    first.renew()
    assert (provider.sensors_of("issuing"), provider.sensors_of("issuing-2")) == (1, 1)
    second.renew()
    provider.retire("issuing")
    assert first.sends()
    assert second.sends()

    provider.roll_root()
    first.renew()
    new_pin = next(str(line["pin"]) for line in provider.show() if line["name"] == "root-2")
    assert first.roots == {old_pin, new_pin}
    assert provider.roll_issuing() == "issuing-3"
    # The second has not heard of the new root yet: the server shows it the old root's word.
    assert second.roots == {old_pin}
    assert first.sends()
    assert second.sends()
    code, said = provider.ca("retire", collector.directory, "root")
    assert (code, "2 sensors hang from root" in said) == (2, True)
    for sensor in fleet:
        sensor.renew()
        assert sensor.roots == {new_pin, old_pin}
    provider.retire("issuing-2", "root")
    assert first.sends()
    for sensor in fleet:
        sensor.renew()
        assert sensor.roots == {new_pin}
        assert sensor.sends()
    for name in ("issuing", "issuing-2", "root"):
        assert provider.sensors_of(name) == 0
    # The same two sensors throughout, and every number of theirs once.
    names = {one.enrolled.certificate.sensor_id for one in fleet}
    assert names == {name for (name,) in collector.control("SELECT sensor_id FROM sensors")}
    for sensor, count in ((first, 15), (second, 12)):
        query = "SELECT seq FROM alerts WHERE sensor_id = ? ORDER BY seq"
        found = [seq for (seq,) in collector.alerts(query, sensor.enrolled.certificate.sensor_id)]
        assert found == list(range(1, count + 1))


def test_a_sensor_that_was_away_for_all_of_it_is_told_to_renew_and_finds_the_new_root(
    collector: Collector, provider: Provider, fleet: list[Sensor]
) -> None:
    away = fleet[0]
    provider.roll_root()
    provider.roll_issuing()
    provider.retire("issuing", "root", force=True)
    provider.roll_root()
    provider.roll_issuing()
    provider.retire("issuing-2", "root-2", force=True)
    assert not away.sends()
    status = away.uplink.status()
    assert status.reason.startswith(str(SessionCode.AUTHORITY_RETIRED))
    assert "vedette enroll --renew" in status.advice
    away.renew()
    (root,) = [line["pin"] for line in provider.show() if line["kind"] == "root" and line["state"] == "trusted"]
    assert away.roots == {root}
    assert away.uplink.drain(CLOCK.monotonic_s() + 60)
    assert len(collector.alerts("SELECT seq FROM alerts")) == 3


def test_the_daemon_renews_by_itself_when_its_ca_is_retired(
    collector: Collector, provider: Provider, fleet: list[Sensor]
) -> None:
    """Its certificate has weeks to live, so that the schedule alone would leave it out in the cold."""
    sensor = fleet[0]
    provider.roll_issuing()
    renewer = Renewer(
        sensor.plan,
        sensor.identity,
        CLOCK,
        chance=lambda: 0.5,
        on_renewed=sensor.uplink.introduce_anew,
        urged=lambda: sensor.uplink.status().reason.startswith(str(SessionCode.AUTHORITY_RETIRED)),
    )
    assert renewer.step() > 0
    provider.retire("issuing", force=True)
    assert not sensor.sends()
    assert renewer.step() == 0
    assert renewer.step() > 0, "it renewed once"
    assert sensor.uplink.drain(CLOCK.monotonic_s() + 60)


def test_a_box_that_followed_to_the_new_root_is_still_enrolled_by_its_old_pin(
    collector: Collector, provider: Provider, fleet: list[Sensor]
) -> None:
    sensor, old_pin = fleet[0], collector.pin
    provider.roll_root()
    provider.roll_issuing()
    sensor.renew()
    provider.retire("issuing", "root", force=True)
    sensor.renew()
    assert sensor.roots == {pin for pin in sensor.roots if pin != old_pin}
    assert standing(sensor.identity, old_pin, CLOCK) is not None
    assert standing(sensor.identity, next(iter(sensor.roots)), CLOCK) is not None
    assert standing(sensor.identity, "0" * 64, CLOCK) is None


def test_a_stick_with_the_old_pin_enrolls_while_both_roots_are_trusted_and_learns_both(
    collector: Collector, provider: Provider, tmp_path: Path
) -> None:
    old_pin = collector.pin
    provider.roll_root()
    provider.roll_issuing()
    late = Sensor(collector, tmp_path / "late")
    assert old_pin in late.roots
    assert len(late.roots) == 2
    assert late.sends()
    late.close()


def test_a_collector_that_was_set_up_anew_is_told_from_a_roll_over(
    collector: Collector, provider: Provider, fleet: list[Sensor], tmp_path: Path
) -> None:
    other = Collector(tmp_path / "other").start()
    plan = RenewalPlan.parse(urls=[f"https://{other.address}"])
    before = fleet[0].identity.ca_path.read_bytes()
    try:
        with pytest.raises(WrongCaError) as told_so:
            renew(plan, fleet[0].identity, CLOCK)
    finally:
        other.stop()
    assert "enroll again with the new pin" in told_so.value.advice
    assert fleet[0].identity.ca_path.read_bytes() == before


def test_what_the_ca_commands_changed_is_in_the_audit_and_another_one_at_work_is_named(
    collector: Collector, provider: Provider
) -> None:
    provider.roll_issuing()
    provider.retire("issuing")
    rows = collector.control("SELECT action, subject FROM audit WHERE actor = 'operator' ORDER BY audit_id")
    assert rows == [
        ("export root", "root"),
        ("request CA", "issuing-2"),
        ("install CA", "issuing-2"),
        ("retire CA", "issuing"),
    ]
    with changing(collector.directory / "pki"):
        code, said = provider.ca("request", collector.directory)
    assert (code, "another `vedette-collector ca` is at work" in said) == (2, True)
