"""A box to examine: enrolled with a key in a file, one capture file, one rule; its clock and settings can be spoilt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from appliance.clock import SystemClock
from appliance.config import Config
from appliance.config.sections import CaptureSection, CollectorSection, IdentitySection, RulesSection, SensorSection
from appliance.doctor import CheckName, Patient, Result, examine
from appliance.enroll import EnrollmentPlan, enroll
from appliance.identity import IdentityFolder
from tests.collector_client.harness import Collector

RULE = 'alert udp any any -> any any (msg:"any datagram"; sid:77; rev:1;)\n'


class Box:
    """An enrolled box with one capture file and one rule."""

    def __init__(self, folder: Path, collector: Collector) -> None:
        self.folder, self.collector = folder, collector
        self.state = folder / "state"
        self.state.mkdir(parents=True)
        (folder / "my.rules").write_text(RULE)
        (folder / "wire.pcap").write_bytes(b"")
        self.config = Config(
            sensor=SensorSection(state_dir=str(self.state)),
            collector=CollectorSection(urls=(f"https://{collector.address}",), ca_pin=collector.pin, timeout_s=5),
            identity=IdentitySection(key_store="software"),
            capture=CaptureSection(files=(str(folder / "wire.pcap"),)),
            rules=RulesSection(paths=(str(folder / "my.rules"),)),
        )
        self.skew_ns = 0

    def enroll(self) -> Box:
        section = self.config.collector
        plan = EnrollmentPlan.parse(urls=section.urls, ca_pin=section.ca_pin, token=self.collector.token())
        enroll(plan, IdentityFolder(self.state / "identity"), self)
        return self

    def at(self, **changed: object) -> None:
        """Another [collector] section."""
        self.config = replace(self.config, collector=replace(self.config.collector, **changed))  # type: ignore[arg-type]

    def wall_ns(self) -> int:
        return SystemClock().wall_ns() + self.skew_ns

    def monotonic_s(self) -> float:
        return SystemClock().monotonic_s()

    def doctor(self) -> dict[CheckName, Result]:
        return examine(Patient(self.config, self))
