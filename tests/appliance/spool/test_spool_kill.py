"""kill -9 at any moment: every number that was told to the caller is in the recovered spool exactly once."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

from appliance.clock import SystemClock
from appliance.spool import Spool
from tests.appliance.spool.events import everything

WRITER = """
import random, sys
from pathlib import Path
from appliance.clock import SystemClock
from appliance.spool import Spool
size = lambda seq: 50 + seq % 400
spool = Spool.open(Path(sys.argv[1]), max_bytes=1 << 26, segment_bytes=8192, clock=SystemClock(),
                   random_epoch=lambda: random.getrandbits(63))
def render(epoch, seq):
    return f"<event epoch='{epoch}' seq='{seq}'/>".encode() + b" " * size(seq)
while True:
    done = spool.append([(1, render)] * random.randint(1, 4))
    print(spool.epoch, *done, flush=True)
"""


def test_what_was_told_as_accepted_is_there_once_after_kill_minus_nine(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    chance = random.Random(20)
    told: list[tuple[int, int]] = []
    for _ in range(12):
        with subprocess.Popen([sys.executable, "-c", WRITER, folder], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            for _ in range(chance.randint(1, 40)):
                epoch, *done = (int(word) for word in child.stdout.readline().split())
                told += [(epoch, seq) for seq in done]
            child.kill()
            for line in child.stdout:
                if line.endswith("\n"):
                    epoch, *done = (int(word) for word in line.split())
                    told += [(epoch, seq) for seq in done]
    assert len(set(told)) == len(told), "a number was given out twice"
    with Spool.open(
        folder, max_bytes=1 << 26, segment_bytes=8192, clock=SystemClock(), random_epoch=lambda: 1
    ) as spool:  # fmt: skip
        assert not spool.losses
        found = everything(spool)
        assert len({fragment.decode().split("'")[1] for _, fragment in found}) == 1, "kill -9 alone ends no epoch"
        numbers = [seq for seq, _ in found]
        assert len(set(numbers)) == len(numbers)
        assert {seq for _, seq in told} <= set(numbers)
