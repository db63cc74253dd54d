"""A box that enrolls or renews in a process of its own and is killed (SIGKILL) at its n-th moment, as by a power cut.

`python -m tests.fakes.dying_box JOB` with a `Job` in JSON. Moments are counted, not listed: each change of the disk,
each fsync, each request before it is sent and after its answer has come, each conversation with the TPM or the
secure element, each step of
`steps.NEXT` and `renew.NEXT` that was taken. They are told on standard output as they pass; with `moment` 0 it lives,
and then says which key is in force and whether the collector takes it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from appliance.enroll import EnrollmentPlan, RenewalPlan, enroll, renew
from appliance.enroll.asking import ask
from appliance.enroll.renew import Renewal, Stage, stage_of
from appliance.enroll.steps import Steps
from appliance.identity import CollectorUrl, HttpsConnection, IdentityFolder, KeyStore, key_store
from appliance.wire.enrollment import sensor_id
from appliance.wire.session import CONFIG_PATH
from tests.fakes.chip_in_file import ChipInFile

CHANGES = frozenset(
    ("os.rename", "os.remove", "os.symlink", "os.link", "os.mkdir", "os.rmdir", "os.truncate", "shutil.rmtree")
)
DAY_NS = 86_400 * 10**9


@dataclass(frozen=True)
class Job:
    """What a box is to do; `token` empty: renew. `tcti` empty: its key is in a file; `element`: the file of a chip that
    signs for it.
    """

    url: str
    state: str
    pin: str = ""
    token: str = ""
    tcti: str = ""
    element: str = ""
    moment: int = 0

    def keys(self) -> KeyStore:
        """The store of its key."""
        if self.element:
            return key_store("secure-element", element=ChipInFile(Path(self.element)))
        return key_store("tpm" if self.tcti else "software", self.tcti)

    def argv(self) -> list[str]:
        """The command line of a process that does it."""
        return [sys.executable, "-m", "tests.fakes.dying_box", json.dumps(asdict(self))]


class Clock:
    """The machine's clock, so many days behind."""

    def __init__(self, behind_days: int = 0) -> None:
        self._behind_ns = behind_days * DAY_NS

    def wall_ns(self) -> int:
        return time.time_ns() - self._behind_ns

    def monotonic_s(self) -> float:
        return time.monotonic()


class Death:
    """Counts moments and comes at one of them."""

    def __init__(self, moment: int) -> None:
        self._left = moment

    def passes(self, moment: str) -> None:
        """Say it, and die if it is the one."""
        os.write(1, f"{moment}\n".encode())
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, work: Callable[..., Any], before: str = "", after: str = "") -> Callable[..., Any]:
        """The same work with moments before and after."""

        def wrapped(*args: Any, **named: Any) -> Any:
            if before:
                self.passes(before)
            result = work(*args, **named)
            if after:
                self.passes(after)
            return result

        return wrapped

    def is_everywhere(self) -> None:
        """Put a moment wherever the file's head says."""
        sys.addaudithook(lambda event, _: self.passes(event) if event in CHANGES else None)
        os.fsync = self.around(os.fsync, before="fsync")
        HttpsConnection.request = self.around(HttpsConnection.request, "request", "answer")  # type: ignore[method-assign]
        forward, do = Steps._forward, Renewal.do

        def stepped(steps: Steps) -> None:
            step = steps.step
            forward(steps)
            self.passes(str(step))

        def done(renewal: Any, stage: Stage) -> None:
            do(renewal, stage)
            self.passes(str(stage))

        Steps._forward = stepped  # type: ignore[method-assign]
        Renewal.do = done  # type: ignore[method-assign]
        for name in ("public_key", "sign"):
            setattr(ChipInFile, name, self.around(getattr(ChipInFile, name), before="element"))
        if "appliance.identity.tpm.signer" in sys.modules:
            module: Any = sys.modules["appliance.identity.tpm.signer"]
            module.open_tpm = self.around(module.open_tpm, before="tpm")


def main() -> None:
    """Do the job, or die."""
    job = Job(**json.loads(sys.argv[1]))
    folder = IdentityFolder(Path(job.state), job.keys())
    if job.moment:
        Death(job.moment).is_everywhere()
    if job.token:
        enroll(EnrollmentPlan.parse(urls=[job.url], ca_pin=job.pin, token=job.token), folder, Clock())
    else:
        renew(RenewalPlan.parse(urls=[job.url]), folder, Clock())
    if job.moment:
        return
    identity = folder.load()
    url = CollectorUrl.parse(job.url)
    taken = ask(url, identity.context(), "GET", CONFIG_PATH, timeout_s=30, proxy=None).status
    print(json.dumps({
        "sensor": identity.certificate.sensor_id,
        "key": sensor_id(identity.signer.spki_der()),
        "stage": stage_of(folder).name,
        "taken": taken,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
