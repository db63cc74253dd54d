"""A full disk: the append is refused by name, nothing of it is ever seen, and what is stored can still be let go."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SMALL_DISK = """
import errno, os, sys
from pathlib import Path
from appliance.clock import SystemClock
from appliance.spool import Spool, SpoolFullError
folder = Path(sys.argv[1])
def opened():
    return Spool.open(folder / "spool", max_bytes=1 << 26, segment_bytes=65536, clock=SystemClock(),
                      random_epoch=lambda: 5)
def render(epoch, seq):
    return f"<event epoch='{epoch}' seq='{seq}'/>".encode() + b" " * 3000
def drained(spool):
    seen = []
    while (batch := spool.read(spool.cursor, 50, 1 << 20)).fragments:
        seen += [int(f.decode().split("'")[3]) for f in batch.fragments]
        spool.acknowledge(batch.epoch, batch.last_seq)
    return seen
spool = opened()
accepted = []
try:
    while True:
        accepted += spool.append([(1, render)] * 3)
except SpoolFullError as exc:
    print(exc, "|", exc.advice)
assert len(accepted) > 100, accepted
try:
    spool.append([(1, render)] * 3)
    raise SystemExit("the disk is full and yet it took more")
except SpoolFullError:
    pass
spool.close()
spool = opened()
assert not spool.losses, spool.losses
assert spool.next_seq == accepted[-1] + 1, spool.next_seq
assert spool.depth().events == len(accepted)
with open(folder / "hog", "wb", buffering=0) as hog:  # somebody else takes the last bytes as well
    try:
        while True:
            hog.write(b"x" * 512)
    except OSError as exc:
        assert exc.errno == errno.ENOSPC
assert drained(spool) == accepted
assert spool.append([(1, render)] * 3) == [accepted[-1] + n for n in (1, 2, 3)]
assert drained(spool) == [accepted[-1] + n for n in (1, 2, 3)]
print("ok")
"""

SMALL_FILES = """
import resource, sys
from pathlib import Path
from appliance.clock import SystemClock
from appliance.spool import Spool, SpoolFullError
def opened():
    return Spool.open(Path(sys.argv[1]), max_bytes=1 << 26, segment_bytes=1 << 20, clock=SystemClock(),
                      random_epoch=lambda: 5)
spool = opened()
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
accepted = []
def render(epoch, seq):
    return f"<event epoch='{epoch}' seq='{seq}'/>".encode() + b" " * 3000
try:
    while True:
        accepted += spool.append([(1, render)] * 2)
except SpoolFullError as exc:
    print(exc)
spool.close()
spool = opened()
assert not spool.notes and not spool.losses
assert spool.read(0, 500, 1 << 20).last_seq == accepted[-1] == 6
print("ok")
"""


@pytest.mark.root
def test_a_full_disk_refuses_by_name_and_can_still_drain(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    script = f'mount -t tmpfs -o size=1m none {disk} && exec {sys.executable} -c "$0" {disk}'
    out = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, SMALL_DISK], capture_output=True, text=True, check=False
    )  # fmt: skip
    assert out.returncode == 0, out.stderr
    assert "No space left on device | free space on this disk" in out.stdout
    assert out.stdout.endswith("ok\n")


def test_a_write_that_the_system_cuts_short_leaves_nothing_half_written(tmp_path: Path) -> None:
    out = subprocess.run(
        [sys.executable, "-c", SMALL_FILES, tmp_path / "spool"], capture_output=True, text=True, check=False
    )  # fmt: skip
    assert out.returncode == 0, out.stderr
    assert "File too large" in out.stdout
    assert out.stdout.endswith("ok\n")
