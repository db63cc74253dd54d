"""The appliance's own enrollment with its key in a TPM, at any collector and under any clock."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from pathlib import Path

from appliance.clock import Clock, SystemClock
from appliance.enroll import Enrolled, EnrollmentPlan, enroll
from appliance.enroll.clock_floor import ClockFloor
from appliance.enroll.in_time import enroll_in_time
from appliance.enroll.timekeeping import TimeSource
from appliance.identity import IdentityFolder
from appliance.identity.tpm import TpmKeyStore
from appliance.wire.enrollment import EnrollmentToken
from tests.collector_client.harness import Collector
from tests.fakes.swtpm import Swtpm

ROOT = Path(__file__).parents[2]


class Box:
    """One disk and one TPM."""

    def __init__(self, folder: Path, tpm: Swtpm) -> None:
        self.tpm = tpm
        self._state = folder
        self.identity = IdentityFolder(folder / "identity", TpmKeyStore(tpm.tcti))

    def enroll(
        self, collector: Collector, token: str, *, url: str = "", pin: str = "", clock: Clock | None = None
    ) -> Enrolled:
        """Enroll, in this process; `url` and `pin` when they are not the collector's own."""
        plan = EnrollmentPlan.parse(
            urls=[url or f"https://{collector.address}"], ca_pin=pin or collector.pin, token=token
        )
        return enroll(plan, self.identity, clock or SystemClock())

    def enroll_in_time(
        self, collector: Collector, token: str, clock: Clock, told: list[str], *, url: str = ""
    ) -> Enrolled:
        """As `vedette enroll` does on a box whose clock may be wrong; `told` hears the steps."""
        plan = EnrollmentPlan.parse(urls=[url or f"https://{collector.address}"], ca_pin=collector.pin, token=token)
        self._state.mkdir(exist_ok=True)
        floor = ClockFloor(self._state, self._state / "no-build-date")
        source = TimeSource(plan.urls, collector.pin, floor, secrets.token_bytes)
        return enroll_in_time(plan, self.identity, clock, source, on_step=told.append)

    def renew(self, collector: Collector, *, url: str = "") -> subprocess.CompletedProcess[str]:
        """`vedette enroll --renew`: TLS with a key in a TPM needs a process of its own."""
        config = self._state / "vedette.toml"
        config.write_text(
            f"""\
[sensor]
state_dir = {json.dumps(str(self._state))}
[collector]
urls = ["{url or f"https://{collector.address}"}"]
ca_pin = "{collector.pin}"
[identity]
key_store = "tpm"
tcti = "{self.tpm.tcti}"
""",
            encoding="utf-8",
        )
        argv = [sys.executable, "-m", "appliance", "enroll", "--renew", "--config", str(config)]
        return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)


def token_id(token: str) -> str:
    """The part of a token that may be written down."""
    return EnrollmentToken.parse(token).token_id
