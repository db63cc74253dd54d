"""Alive is not well: what only a restart mends is dead, and what no restart mends is not."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from appliance.health import DiskProbe, Liveness, Part, Pulse
from appliance.health.alive import SIGNS, Still, Vitals
from appliance.health.pulse import CAPTURE_LIMIT_S, DISK_LIMIT_S
from appliance.spool import Spool, SpoolError
from tests.fakes.clock import FakeClock

LIVES = Vitals(Still(0.2, 30), Still(0.2, 30), Still(3, 60), "", "", Still(2, 150))
CASES = [
    (set(), {}),
    (set(), {"capture": None, "engine": None}),
    (set(), {"uplink": Still(150, 150)}),
    ({Part.CAPTURE}, {"capture": Still(30.1, 30)}),
    ({Part.ENGINE}, {"engine": Still(31, 30)}),
    ({Part.SPOOL}, {"disk": Still(61, 60)}),
    ({Part.SPOOL}, {"disk_fault": "Read-only file system"}),
    ({Part.SPOOL}, {"spool_fault": "a failed write could not be cut off again"}),
    ({Part.UPLINK}, {"uplink": Still(151, 150)}),
    (set(Part), {n: Still(1e6, 1) for n in ("capture", "engine", "disk", "uplink")}),
]


@pytest.mark.parametrize(("dead", "change"), CASES)
def test_each_part_answers_for_itself_alone(dead: set[Part], change: dict[str, Still | str | None]) -> None:
    vitals = replace(LIVES, **change)
    assert {sign.part for check in SIGNS if not (sign := check(vitals)).alive} == dead
    assert [check(vitals).part for check in SIGNS] == list(Part)


@dataclass
class Box:
    """What a pulse asks, moved by hand."""

    folder: Path
    clock: FakeClock = field(default_factory=FakeClock)
    counters: tuple[int, ...] = (0, 0)
    resting: bool = False
    spool_fault: str = ""

    def __post_init__(self) -> None:
        self.liveness = Liveness(self.clock)
        self.probe = DiskProbe(self.folder / "alive", self.clock)
        self.pulse = Pulse(
            self.clock,
            self.liveness,
            self.probe,
            counters=lambda: self.counters,
            resting=lambda: self.resting,
            spool_fault=lambda: self.spool_fault,
        )

    def dead(self) -> set[Part]:
        return {sign.part for sign in self.pulse.signs() if not sign.alive}


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def test_a_capture_that_goes_round_without_a_packet_is_alive(box: Box) -> None:
    for turn in range(100):
        box.clock.advance(CAPTURE_LIMIT_S)
        box.probe.once()
        box.counters = (0, turn)
        assert box.dead() == set()


def test_a_capture_whose_counters_stand_still_is_dead_and_comes_back(box: Box) -> None:
    box.pulse.signs()
    box.clock.advance(CAPTURE_LIMIT_S)
    assert box.dead() == set()
    box.clock.advance(1)
    assert box.dead() == {Part.CAPTURE}
    box.counters = (1, 0)
    assert box.dead() == set()


def test_files_that_are_read_need_not_move(box: Box) -> None:
    box.resting = True
    box.clock.advance(DISK_LIMIT_S)
    assert box.dead() == set()


def test_parts_are_judged_by_their_own_turns(box: Box) -> None:
    pipeline = box.liveness.register("pipeline", within_s=30)
    box.liveness.register("uplink", within_s=20)
    box.clock.advance(25)
    pipeline()
    assert box.dead() == {Part.UPLINK}
    box.liveness.retire("uplink")
    assert box.dead() == set()


def test_a_disk_that_does_not_answer_is_dead(box: Box) -> None:
    box.resting = True
    box.probe.once()
    box.clock.advance(DISK_LIMIT_S + 1)
    assert box.dead() == {Part.SPOOL}
    box.probe.once()
    assert box.dead() == set()


@pytest.mark.parametrize("reason", [errno.EROFS, errno.EIO])
def test_a_disk_that_takes_no_write_is_dead(box: Box, monkeypatch: pytest.MonkeyPatch, reason: int) -> None:
    refuse(monkeypatch, reason)
    box.probe.once()
    assert box.dead() == {Part.SPOOL}
    assert os.strerror(reason) in box.probe.fault


@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_alive_because_a_restart_makes_no_room(
    box: Box, monkeypatch: pytest.MonkeyPatch, reason: int
) -> None:
    refuse(monkeypatch, reason)
    box.probe.once()
    assert box.dead() == set()


def test_a_probe_never_follows_a_link(box: Box, tmp_path: Path) -> None:
    (tmp_path / "alive").symlink_to(tmp_path / "elsewhere")
    box.probe.once()
    assert box.dead() == {Part.SPOOL}
    assert not (tmp_path / "elsewhere").exists()


def test_a_spool_that_shut_itself_after_a_failed_write_is_dead(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Spool.open(
        tmp_path / "spool", max_bytes=1 << 20, segment_bytes=4096, clock=box.clock, random_epoch=lambda: 9
    ) as spool:
        spool.append([(1, lambda *_: b"one")])
        assert spool.broken == ""
        refuse(monkeypatch, errno.EIO)
        monkeypatch.setattr(os, "ftruncate", refusing(errno.EIO))
        with pytest.raises(SpoolError):
            spool.append([(1, lambda *_: b"two")])
        box.spool_fault = spool.broken
        assert "could not be cut off" in spool.broken
        assert box.dead() == {Part.SPOOL}
        monkeypatch.undo()


def refuse(monkeypatch: pytest.MonkeyPatch, reason: int) -> None:
    """The disk says no at the moment that counts."""
    monkeypatch.setattr(os, "fdatasync", refusing(reason))


def refusing(reason: int):
    def refused(*_: object) -> None:
        raise OSError(reason, os.strerror(reason))

    return refused
