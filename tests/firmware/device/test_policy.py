"""The policy's way through a host's troubles, with the time told and never waited for."""

from supervisor import policy
from supervisor.policy import Policy


def begun(boots: int = 0, is_paired: bool = True) -> Policy:
    made = Policy(boots, is_paired)
    assert policy.CUT not in made.begin()
    return made


def running() -> Policy:
    made = begun()
    made.happen(policy.BEAT)
    assert made.state == policy.UP
    return made


def beat_for(one: Policy, ms: int) -> "list[int]":
    """A beat each second; all that was to be done."""
    done = []
    for _ in range(ms // 1000):
        done.extend(one.tick(1000))
        done.extend(one.happen(policy.BEAT))
    return done


def silence_until_cut(one: Policy) -> int:
    """The milliseconds that it takes."""
    passed = 0
    while passed < 10_000_000:
        passed += 1000
        if policy.CUT in one.tick(1000):
            return passed
        if one.state == policy.LOCKOUT:
            return -1
    raise AssertionError


def test_a_host_that_beats_is_left_alone() -> None:
    one = running()
    assert policy.CUT not in beat_for(one, 3_600_000)
    assert one.state == policy.UP


def test_a_host_that_never_starts_is_cycled_after_the_time_of_a_boot() -> None:
    one = begun()
    assert silence_until_cut(one) == policy.BOOT_MS
    assert one.tick(policy.OFF_MS) == (policy.GIVE, policy.COUNT)
    assert (one.state, one.boots) == (policy.BOOT, 1)


def test_beats_that_stop_give_a_warning_and_then_a_cycle() -> None:
    one = running()
    assert one.tick(policy.BEAT_MS - 1) == ()
    assert one.tick(1) == (policy.TELL_WARNED,)
    assert one.tick(policy.WARN_MS - 1) == ()
    assert one.tick(1)[:2] == (policy.CUT, policy.BECAUSE_BEATS_STOPPED)


def test_a_beat_in_the_warning_saves_the_host() -> None:
    one = running()
    one.tick(policy.BEAT_MS)
    assert one.happen(policy.BEAT) == ()
    assert (one.state, one.left_ms) == (policy.UP, policy.BEAT_MS)


def test_six_failures_end_in_lockout_with_power_and_a_rollback_asked_at_three() -> None:
    one, cuts, asked = begun(), 0, []
    while silence_until_cut(one) > 0:
        cuts += 1
        one.tick(policy.OFF_MS)
        asked.append(one.is_rollback_asked())
    assert (cuts, one.boots) == (policy.MOST_BOOTS, policy.MOST_BOOTS)
    assert asked == [False, False, True, True, True, True]
    assert one.tick(100_000_000) == ()
    assert one.state == policy.LOCKOUT


def test_a_beat_or_the_button_ends_lockout() -> None:
    one = begun(policy.MOST_BOOTS)
    one.tick(policy.BOOT_MS)
    assert one.state == policy.LOCKOUT
    other = begun(policy.MOST_BOOTS)
    other.tick(policy.BOOT_MS)
    one.happen(policy.BEAT)
    assert one.state == policy.UP
    assert policy.CUT in other.happen(policy.BUTTON)
    assert other.boots == 0


def test_only_a_minute_of_beats_forgets_failures() -> None:
    one = begun(4)
    one.happen(policy.BEAT)
    assert policy.FORGET not in beat_for(one, policy.STEADY_MS - 1000)
    one.began_anew()
    assert policy.FORGET not in beat_for(one, policy.STEADY_MS - 1000)
    assert one.boots == 4
    assert beat_for(one, 1000).count(policy.FORGET) == 1
    assert one.boots == 0
    assert policy.FORGET not in beat_for(one, 10 * policy.STEADY_MS)


def test_a_steady_minute_is_broken_by_a_warning() -> None:
    one = begun(2)
    one.happen(policy.BEAT)
    beat_for(one, 30_000)
    one.tick(policy.BEAT_MS)
    assert one.state == policy.WARN
    one.happen(policy.BEAT)
    beat_for(one, policy.STEADY_MS - 1000)
    assert one.boots == 2
    beat_for(one, 1000)
    assert one.boots == 0


def test_a_hold_is_capped_and_ends_in_the_time_of_a_boot() -> None:
    one = running()
    assert one.hold(99_000_000) == policy.HOLD_MS
    assert one.tick(policy.HOLD_MS - 1) == ()
    assert one.tick(1) == (policy.TELL_HOLD_ENDED,)
    assert (one.state, one.left_ms) == (policy.BOOT, policy.BOOT_MS)


def test_a_hold_can_be_made_longer_but_not_beyond_its_cap() -> None:
    one = running()
    assert one.hold(1000) == 1000
    one.tick(900)
    assert one.hold(policy.HOLD_MS) == policy.HOLD_MS - 900
    one.tick(policy.HOLD_MS - 1000)
    assert one.hold(policy.HOLD_MS) == 100


def test_a_second_hold_needs_a_steady_minute_between() -> None:
    one = running()
    one.hold(1000)
    one.happen(policy.HOLD_OVER)
    assert one.hold(1000) == 0
    beat_for(one, policy.STEADY_MS)
    assert one.hold(1000) == 1000


def test_an_asked_cycle_leaves_time_for_an_orderly_end() -> None:
    one = running()
    assert one.happen(policy.ASK_DRAIN) == ()
    assert one.tick(policy.DRAIN_MS - 1) == ()
    assert one.tick(1)[:2] == (policy.CUT, policy.BECAUSE_ASKED)


def test_a_host_that_is_never_steady_cannot_ask_for_cycles_for_ever() -> None:
    one, cuts = begun(), 0
    for _ in range(50):
        if policy.CUT in one.happen(policy.ASK_CYCLE):
            cuts += 1
            one.tick(policy.OFF_MS)
            one.happen(policy.BEAT)
    assert cuts == policy.MOST_BOOTS


def test_a_reboot_by_the_host_is_watched_too() -> None:
    one = running()
    assert policy.CUT not in one.happen(policy.DRAINING)
    assert (one.state, one.boots) == (policy.BOOT, 1)
    assert silence_until_cut(one) == policy.DRAIN_MS + policy.BOOT_MS


def test_power_does_not_come_back_on_a_low_supply_but_never_stays_away() -> None:
    one = running()
    one.is_supply_low = True
    one.happen(policy.ASK_CYCLE)
    assert one.tick(policy.OFF_MS) == (policy.BECAUSE_UNDER_VOLTAGE,)
    assert one.state == policy.OFF
    assert one.tick(policy.SUPPLY_MS) == (policy.GIVE, policy.COUNT)
    one.happen(policy.ASK_CYCLE)
    one.tick(policy.OFF_MS)
    one.is_supply_low = False
    assert one.tick(1) == (policy.GIVE, policy.COUNT)


def test_a_low_supply_never_takes_the_power_of_a_host_that_runs() -> None:
    one = running()
    one.is_supply_low = True
    assert policy.CUT not in beat_for(one, 600_000)


def test_an_unpaired_host_is_never_judged_until_it_is_paired() -> None:
    one = begun(is_paired=False)
    for event in (policy.BEAT, policy.DRAINING, policy.ASK_CYCLE, policy.ASK_DRAIN, policy.ASK_HOLD, policy.BUTTON):
        assert one.happen(event) == ()
    assert one.hold(1000) == 0
    assert one.tick(100_000_000) == ()
    assert one.state == policy.LOCKOUT
    one.happen(policy.PAIRED)
    assert one.state == policy.BOOT
    assert silence_until_cut(one) == policy.BOOT_MS
    assert one.happen(policy.UNPAIRED) == ()
    assert policy.GIVE in one.tick(policy.OFF_MS)
    assert one.state == policy.LOCKOUT
