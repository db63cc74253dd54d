"""Real boxes in processes of their own at a real collector: with the key in a file, in a TPM, or signed for by a
secure element, mortal or not.

Rules of this file: it makes and runs jobs of `tests/fakes/dying_box.py`; what must come of them is the tests' business.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from appliance.enroll import EnrollmentPlan, enroll
from appliance.identity import IdentityFolder
from collector_client.attest import parse_public
from collector_client.attest.endorsement import ek_digest
from tests.collector_client.harness import DAY_NS, Collector
from tests.fakes.chip_in_file import ChipInFile
from tests.fakes.dying_box import Clock, Job
from tests.fakes.swtpm import Swtpm

ROOT = Path(__file__).parents[2]


@dataclass
class Box:
    """One kind of box at one collector; each `job` is on a state folder of its own unless told otherwise."""

    collector: Collector
    folder: Path
    tpm: Swtpm | None = None
    has_element: bool = False
    count: int = 0
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        if self.tpm is not None:
            # Only where there is a TPM.
            from appliance.identity.tpm import attestation, provider
            from appliance.identity.tpm.session import open_tpm

            with open_tpm(self.tpm.tcti) as opened:
                kind = attestation.endorsement(opened)
                with attestation.endorsement_key(opened, kind) as ek:
                    digest = ek_digest(parse_public("EK", ek.public_bytes)).hex()
            # By the list: in the recoveries' past, the maker had not yet made this TPM.
            (self.collector.directory / "pki" / "tpm-allowed").write_text(f"{digest}\n", encoding="ascii")
            configuration = self.folder / "openssl.cnf"
            provider.write_configuration(configuration)
            self.environment = provider.environment(self.tpm.tcti, configuration)

    def enrollment(self) -> Job:
        """Of a box that has never enrolled; one TPM is one sensor, so with a TPM the one before it is given up."""
        self.count += 1
        if self.tpm is not None:
            for (sensor,) in self.collector.control("SELECT sensor_id FROM sensors WHERE revoked_ns IS NULL"):
                self.collector.revoke(str(sensor), "given up")
        tcti = "" if self.tpm is None else self.tpm.tcti
        chip = self.folder / f"chip-{self.count}"
        pin = ChipInFile(chip).born() if self.has_element else None
        return Job(
            f"https://{self.collector.address}",
            str(self.folder / str(self.count)),
            self.collector.pin,
            self.collector.token(key_sha256=pin),
            tcti,
            str(chip) if self.has_element else "",
        )

    def enrolled(self, days_ago: int = 0) -> Job:
        """The renewal of a box that enrolled so many days ago; here, because that takes no TLS by the TPM."""
        self.collector.clock.ahead_ns = -days_ago * DAY_NS
        job = self.enrollment()
        plan = EnrollmentPlan.parse(urls=[job.url], ca_pin=job.pin, token=job.token)
        enroll(plan, IdentityFolder(Path(job.state), job.keys()), Clock(days_ago))
        self.collector.clock.ahead_ns = 0
        return replace(job, token="")

    def run(self, job: Job) -> subprocess.CompletedProcess[str]:
        """A process that does it, to its end or its death; after that the TPM has lost its power too."""
        done = self._process(job.argv())
        if self.tpm is not None and done.returncode == -signal.SIGKILL:
            self.tpm.power_cycle()
        return done

    def python(self, code: str, *argv: str) -> subprocess.CompletedProcess[str]:
        """Code in a process like the daemon's, whose OpenSSL can use the key."""
        return self._process([sys.executable, "-c", code, *argv])

    def _process(self, argv: list[str]) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **self.environment}
        return subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
