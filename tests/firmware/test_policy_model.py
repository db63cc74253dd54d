"""The policy's whole space of states, explored: what must hold, holds in every one of them.

Each state is left by everything that may happen there: each event, holds short and long, time in part and to the
deadline, the supply falling and rising, a daemon that begins anew. Times are the policy's own, so nothing is
scaled; `silent_ms`, what has passed since the host was last heard or given power, is carried along by the model.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from supervisor import policy
from supervisor.policy import Policy

MOST_SILENT_MS = policy.BOOT_MS + policy.BEAT_MS
POWERED = (policy.BOOT, policy.UP, policy.WARN, policy.HOLD, policy.DRAIN, policy.LOCKOUT)
BEGINNINGS = (policy.BEGIN, policy.BEGIN_UNPAIRED)
DERIVED = (policy.TIMEOUT, policy.TIMEOUT_LAST, policy.TIMEOUT_LOW, policy.SUPPLY_GOOD, policy.STEADY)
SAID = tuple(event for event in range(len(policy.EVENTS)) if event not in BEGINNINGS + DERIVED)


class Place(NamedTuple):
    """One state of the model: all that the policy remembers, and the silence."""

    state: int
    left_ms: int
    boots: int
    is_paired: bool
    is_supply_low: bool
    may_hold: bool
    steady_ms: int
    held_ms: int
    silent_ms: int

    def policy(self) -> Policy:
        made = Policy(self.boots, self.is_paired)
        for name in self._fields[:-1]:
            setattr(made, name, getattr(self, name))
        return made


class Step(NamedTuple):
    """What happened in a place, what was done, and where it led."""

    before: Place
    what: str
    done: tuple[int, ...]
    after: Place


def place(of: Policy, silent_ms: int) -> Place:
    steady_ms = min(of.steady_ms, policy.STEADY_MS)
    return Place(
        of.state, of.left_ms, of.boots, of.is_paired, of.is_supply_low, of.may_hold, steady_ms, of.held_ms,
        min(silent_ms, MOST_SILENT_MS),
    )  # fmt: skip


def steps(before: Place) -> Iterator[Step]:
    """All that may happen in a place."""

    def step(what: str, one: Policy, done: tuple[int, ...], silent_ms: int) -> Step:
        moved = one.state != before.state and what in ("draining", "hold-over", "paired")
        heard = policy.GIVE in done or one.state == policy.HOLD or what == "beat" or moved
        return Step(before, what, done, place(one, 0 if heard else silent_ms))

    for event in SAID:
        one = before.policy()
        yield step(policy.EVENTS[event], one, one.happen(event), before.silent_ms)
    for wanted_ms in (policy.HOLD_MS // 3, policy.HOLD_MS):
        one = before.policy()
        one.hold(wanted_ms)
        yield step("hold", one, (), before.silent_ms)
    one = before.policy()
    one.is_supply_low = not one.is_supply_low
    yield step("supply", one, (), before.silent_ms)
    one = before.policy()
    one.began_anew()
    yield step("anew", one, (), before.silent_ms)
    # What happens before a deadline does not depend on when; only steadiness and holds add up.
    parts_ms = {policy.UP: policy.STEADY_MS // 10, policy.HOLD: policy.HOLD_MS // 3}
    for passed_ms in {parts_ms.get(before.state, before.left_ms), before.left_ms or policy.HOLD_MS}:
        one = before.policy()
        yield step("time", one, one.tick(passed_ms), before.silent_ms + passed_ms)


@functools.cache
def explored() -> tuple[Step, ...]:
    """Every step from every place that can be reached from a start."""
    starts = []
    for boots in range(policy.MOST_BOOTS + 1):
        for is_paired in (False, True):
            one = Policy(boots, is_paired)
            one.begin()
            starts.append(place(one, 0))
    seen, waiting, out = set(starts), list(starts), []
    while waiting:
        for step in steps(waiting.pop()):
            out.append(step)
            if step.after not in seen:
                seen.add(step.after)
                waiting.append(step.after)
        assert len(seen) < 1_000_000
    return tuple(out)


@functools.cache
def places() -> tuple[Place, ...]:
    return tuple({step.before for step in explored()})


def tells(step: Step) -> str:
    return f"{step.what} in {step.before}: {[policy.ACTIONS[a] for a in step.done]}"


def loops(allowed: list[Step]) -> dict[Place, int]:
    """Place -> number of its strongly connected component (Tarjan, without recursion)."""
    following: dict[Place, list[Place]] = {}
    for step in allowed:
        following.setdefault(step.before, []).append(step.after)
    index: dict[Place, int] = {}
    low: dict[Place, int] = {}
    component: dict[Place, int] = {}
    stack: list[Place] = []
    for root in following:
        if root in index:
            continue
        work = [(root, iter(following[root]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        while work:
            node, others = work[-1]
            for other in others:
                if other not in index:
                    index[other] = low[other] = len(index)
                    stack.append(other)
                    work.append((other, iter(following.get(other, ()))))
                    break
                if other not in component:
                    low[node] = min(low[node], index[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    while True:
                        member = stack.pop()
                        component[member] = index[node]
                        if member == node:
                            break
    return component


def test_every_state_and_every_row_is_reached() -> None:
    assert {one.state for one in places()} == set(range(8))
    reached = set()
    for step in explored():
        for (state, event), (after, done) in policy.TABLE.items():
            if step.before.state == state and step.done == done and after in (step.after.state, policy.BOOT):
                reached.add((state, event))
    begun = {(policy.OFF, event) for event in BEGINNINGS}
    assert set(policy.TABLE) - reached - begun == set()


def test_the_power_of_a_healthy_host_is_never_cut() -> None:
    """A cut is asked for by the host, pressed by a hand, or after a silence that no healthy host keeps."""
    for step in explored():
        if policy.CUT not in step.done or step.what in ("ask-cycle", "button"):
            continue
        assert step.what == "time", tells(step)
        if step.before.state == policy.DRAIN:
            continue
        longest = {policy.BOOT: policy.BOOT_MS, policy.WARN: policy.BEAT_MS + policy.WARN_MS}[step.before.state]
        silent_ms = step.before.silent_ms + step.before.left_ms
        assert silent_ms >= longest, tells(step)


def test_a_host_that_becomes_healthy_is_left_alone_from_then_on_wherever_it_was() -> None:
    for start in places():
        if not start.is_paired or start.state not in POWERED or start.state == policy.DRAIN:
            continue
        one = start.policy()
        for _ in range(policy.HOLD_MS // 9000 + 30):
            assert policy.CUT not in one.happen(policy.BEAT), start
            assert policy.CUT not in one.tick(9000), start
        assert one.state == policy.UP, start


def test_nothing_waits_for_ever_and_silence_ends_with_power() -> None:
    most_ms = (
        policy.HOLD_MS
        + policy.DRAIN_MS
        + (policy.MOST_BOOTS + 1)
        * (policy.BOOT_MS + policy.BEAT_MS + policy.WARN_MS + policy.OFF_MS + policy.SUPPLY_MS)
    )
    for start in places():
        one, passed_ms, has_power = start.policy(), 0, start.state in POWERED
        while one.state != policy.LOCKOUT:
            passed_ms += one.left_ms
            for action in one.tick(one.left_ms):
                has_power = {policy.CUT: False, policy.GIVE: True}.get(action, has_power)
            assert passed_ms <= most_ms, start
        assert has_power, start


def test_every_state_has_an_end_but_the_one_that_leaves_the_host_alone() -> None:
    for one in places():
        assert one.left_ms > 0 or one.state in (policy.LOCKOUT, policy.HOLD), one
        assert (one.state, policy.TIMEOUT) in policy.TABLE or one.state == policy.LOCKOUT


def test_power_cycles_never_go_on_for_ever_without_a_steady_run_or_a_hand() -> None:
    allowed = [step for step in explored() if policy.FORGET not in step.done]
    component = loops(allowed)
    for step in allowed:
        if policy.CUT in step.done:
            assert component[step.before] != component.get(step.after), tells(step)


def test_a_hold_always_ends_and_another_needs_a_steady_run() -> None:
    for one in places():
        assert one.state != policy.HOLD or one.held_ms + one.left_ms <= policy.HOLD_MS, one
    allowed = [step for step in explored() if policy.FORGET not in step.done]
    component = loops(allowed)
    for step in allowed:
        if step.before.state != policy.HOLD and step.after.state == policy.HOLD:
            assert component[step.before] != component.get(step.after), tells(step)


def test_a_reset_of_the_supervisor_gives_power_and_never_takes_it() -> None:
    for one in places():
        begun = Policy(one.boots, one.is_paired)
        done = begun.begin()
        assert policy.GIVE in done
        assert policy.CUT not in done
        assert begun.state in POWERED


def test_no_power_cut_lasts_longer_than_its_two_waits() -> None:
    for start in places():
        if start.state in POWERED:
            continue
        one, passed_ms = start.policy(), 0
        while one.state not in POWERED:
            passed_ms += max(one.left_ms, 1)
            one.tick(max(one.left_ms, 1))
        assert passed_ms <= policy.OFF_MS + policy.SUPPLY_MS


@pytest.mark.parametrize("state", range(8))
def test_what_has_no_row_changes_nothing(state: int) -> None:
    for one in places():
        if one.state != state:
            continue
        for event in SAID:
            if (state, event) not in policy.TABLE and event not in (policy.PAIRED, policy.UNPAIRED):
                tried = one.policy()
                before = copy.copy(tried.__dict__)
                assert tried.happen(event) == ()
                assert tried.__dict__ == before


def test_an_unpaired_supervisor_never_cuts() -> None:
    for step in explored():
        assert step.before.is_paired or policy.CUT not in step.done, tells(step)
