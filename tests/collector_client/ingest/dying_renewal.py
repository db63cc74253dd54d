"""A renewal in a process of its own that is killed at its n-th change of the disk or connection.

`python -m tests.collector_client.ingest.dying_renewal URL STATE N`; exit 0 when it came to its end before that.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from appliance.clock import SystemClock
from appliance.enroll import RenewalPlan, renew
from appliance.identity import IdentityFolder

DEADLY = {"os.rename", "os.remove", "os.symlink", "os.link", "os.mkdir", "os.rmdir", "socket.connect", "shutil.rmtree"}


def main() -> None:
    """Renew, or die."""
    url, state, left = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])

    def die(event: str, _: object) -> None:
        nonlocal left
        if event in DEADLY:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(die)
    renew(RenewalPlan.parse(urls=[url]), IdentityFolder(state), SystemClock())


if __name__ == "__main__":
    main()
