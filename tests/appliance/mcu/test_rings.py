"""The rings in their order, in virtual time: the daemon's own end first, the supervisor's cut when it did not help.

The supervisor is its own firmware, the link is ours, the beats are the daemon's; only systemd is played, by when the
daemon ends and begins.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from appliance.daemon.beat import HealthBeat
from appliance.health import Part, Sign
from appliance.mcu.link import Link, State
from appliance.wire import mcu_words as words
from tests.fakes.virtual_board import VirtualBoard

KEY = bytes(range(32))
WATCHDOG_S, RESTART_S = 60, 15
"""systemd's patience with the daemon, and from its end to the first beat of the next."""


@dataclass
class Box:
    """A daemon that beats or does not, and the firmware that listens."""

    guard: VirtualBoard = field(default_factory=lambda: VirtualBoard(is_paired=True, key=KEY))
    now_s: float = 1000.0
    dead: set[Part] = field(default_factory=set)
    runs: bool = False

    def start(self) -> None:
        """The daemon begins and is ready."""
        self.link = Link(KEY, os.urandom, self.now_s)
        self.link.opened(self.now_s)
        self.beat = HealthBeat(
            lambda: [Sign(part, part not in self.dead, "") for part in Part], int.from_bytes(os.urandom(4), "big")
        )
        self.beat.phase = words.RUNNING
        self.runs = True

    def pass_s(self, seconds: int) -> None:
        """Half a second at a time, for both."""
        for _ in range(seconds * 2):
            heard = self.guard.pass_s(0.5)
            if self.runs:
                self.link.receive(heard, self.now_s)
                said = self.link.send(self.now_s, self.beat)
                self.link.receive(self.guard.hear(said), self.now_s)
            self.now_s += 0.5

    def end(self) -> None:
        """In order: the loop's last beat says so."""
        self.beat.phase = words.DRAINING
        self.guard.hear(self.link.beat_now(self.beat))
        self.runs = False

    def die(self) -> None:
        """At once, without a word."""
        self.runs = False

    @property
    def cuts(self) -> int:
        return self.guard.power.count(False)


def running() -> Box:
    box = Box()
    box.start()
    box.pass_s(70)
    assert (box.link.state, box.guard.state, box.cuts) == (State.UP, "UP", 0)
    return box


def test_a_box_that_is_well_is_never_cut() -> None:
    box = running()
    box.pass_s(1800)
    assert (box.guard.state, box.cuts) == ("UP", 0)


def test_a_part_that_stands_still_is_first_systemds() -> None:
    box = running()
    box.dead = {Part.CAPTURE}
    box.pass_s(WATCHDOG_S)
    box.die()
    box.pass_s(RESTART_S)
    box.dead = set()
    box.start()
    box.pass_s(120)
    assert (box.guard.state, box.cuts) == ("UP", 0)


def test_a_part_that_stands_still_and_is_not_mended_costs_the_power() -> None:
    box = running()
    box.dead = {Part.SPOOL}
    box.pass_s(170)
    assert box.cuts == 0
    box.pass_s(20)
    assert box.cuts == 1
    assert box.guard.reset == "boot-timeout"


def test_a_daemon_that_freezes_costs_the_power_in_its_patience() -> None:
    box = running()
    box.die()
    box.pass_s(14)
    assert box.cuts == 0
    box.pass_s(8)
    assert box.guard.power[-2:] == [False, True]
    assert box.guard.reset == "beats-stopped"


def test_a_daemon_that_crashes_and_is_there_again_at_once_is_saved() -> None:
    box = running()
    box.die()
    box.pass_s(10)
    box.start()
    box.pass_s(120)
    assert (box.guard.state, box.cuts) == ("UP", 0)


def test_a_restart_in_order_has_the_time_of_a_boot() -> None:
    box = running()
    box.end()
    box.pass_s(170)
    assert (box.guard.state, box.cuts) == ("BOOT", 0)
    box.start()
    box.pass_s(70)
    assert (box.guard.state, box.cuts) == ("UP", 0)


def test_a_box_that_was_shut_down_is_started_again() -> None:
    box = running()
    box.end()
    box.pass_s(190)
    assert box.guard.power[-2:] == [False, True]


def test_a_box_that_is_never_well_is_left_alone_at_last_with_its_power() -> None:
    box = running()
    box.die()
    box.pass_s(3600)
    assert box.guard.state == "LOCKOUT"
    assert box.guard.power[-1] is True
    assert 3 <= box.cuts <= 7


def test_the_supervisors_own_restart_is_no_news_for_the_host() -> None:
    box = running()
    for _ in range(3):
        box.guard.bench.reset()
        box.pass_s(30)
        assert (box.link.state, box.guard.state, box.cuts) == (State.UP, "UP", 0)
    assert box.link.sessions == 4
