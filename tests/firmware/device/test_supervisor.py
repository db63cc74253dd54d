"""The supervisor as a whole on a board without hardware: what a host may do, and what a reset leaves."""

from bench_board import Bench, Board, MemoryFolder

from appliance.wire import mcu_link, mcu_words
from loader.records import Record

EVENT = {name: number for number, name in enumerate(mcu_words.EVENTS)}


def running() -> Bench:
    one = Bench()
    assert one.hello() is not None
    assert one.beat() is not None
    assert one.state() == "UP"
    return one


def refusal(answers) -> str:  # type: ignore[no-untyped-def]
    assert [kind for kind, _ in answers] == [mcu_words.REFUSED], answers
    return str(mcu_words.REFUSALS[answers[0][1].why])


def test_hello_is_answered_with_limits_and_the_last_reset() -> None:
    one = Bench()
    welcome = one.hello()
    assert (welcome.version, welcome.beat_limit_s, welcome.boot_limit_s, welcome.hold_limit_s) == (1, 10, 120, 3600)
    assert mcu_words.RESETS[welcome.reset] == "power-on"
    assert welcome.serial == one.board.serial


def test_a_host_of_another_version_is_told_and_gets_no_session() -> None:
    one = Bench()
    welcome = one.hello(oldest=2, newest=9)
    assert (welcome.version, welcome.oldest, welcome.newest) == (0, 1, 1)
    before = one.supervisor.link.dropped
    assert one.say(mcu_words.BEAT, 1, 15, 1) == []
    assert one.supervisor.link.dropped == before + 1


def test_a_beat_that_is_not_of_full_health_does_not_feed() -> None:
    one = running()
    for health in (0, 1, 7, 14):
        one.pass_time(3000)
        assert one.beat(health=health) is not None
    assert one.state() == "WARN"
    one.beat()
    assert one.state() == "UP"


def test_a_host_that_starts_still_is_not_taken_for_well() -> None:
    one = Bench()
    one.hello()
    one.beat(phase=mcu_words.BOOTING)
    assert one.state() == "BOOT"


def test_beats_that_stop_cut_the_power_for_four_seconds_and_the_reason_is_told() -> None:
    one = running()
    one.beat_for(5000)
    one.pass_time(30_000)
    assert one.board.power_changes == [True, False, True]
    welcome = one.hello()
    assert mcu_words.RESETS[welcome.reset] == "beats-stopped"
    one.beat()
    one.pass_time(30_000)
    one.answers()
    assert {event.what for event in one.events} >= {EVENT["warned"]}


def test_nothing_is_said_to_a_host_that_has_lost_its_power_until_it_greets() -> None:
    one = running()
    one.pass_time(16_000)
    assert one.board.has_power is False
    one.board.outbox = bytearray()
    one.pass_time(60_000)
    assert one.board.outbox == b""
    assert one.supervisor.journal.unheard() is not None
    assert one.hello() is not None


def test_a_relay_that_a_disturbance_has_moved_is_set_again() -> None:
    one = running()
    one.board.has_power = False
    one.turn()
    assert one.board.has_power is True


def test_events_are_told_again_until_they_are_heard_and_then_the_next() -> None:
    one = running()
    one.board.is_open = True
    one.turn()
    one.board.is_open = False
    for _ in range(3):
        one.pass_time(5000)
        one.beat()
    assert len(one.events) == 4
    assert {event.what for event in one.events} == {EVENT["tamper"]}
    assert one.events[-1].age_s >= 10
    one.say(mcu_words.ACK, one.events[0].number)
    one.events.clear()
    for _ in range(3):
        one.pass_time(5000)
        one.beat()
    assert one.events == []


def test_what_one_side_has_not_named_is_refused_or_not_said() -> None:
    one = Bench()
    one.hello(features=0)
    one.beat()
    for kind, values in ((mcu_words.MEASURE, ()), (mcu_words.UPGRADE_BEGIN, (1000, 0, 2, 0, bytes(32)))):
        assert refusal(one.say(kind, *values)) == "no-part"
    one.board.is_open = True
    one.board.volts_mv = 4000
    one.pass_time(14_000)
    one.answers()
    assert {event.what for event in one.events} == {EVENT["warned"]}
    assert one.hello().features & mcu_words.HAS_UPGRADE
    one.beat()
    assert one.say(mcu_words.UPGRADE_BEGIN, 1000, 0, 2, 0, bytes(32))[0][0] == mcu_words.UPGRADE_STATE


def test_an_event_that_was_not_heard_is_told_after_a_reset_of_the_supervisor() -> None:
    one = running()
    one.board.is_open = True
    one.beat_for(20_000)
    one.events.clear()
    one.reset()
    assert one.hello().flags & mcu_words.OWN_WATCHDOG
    one.beat()
    one.pass_time(6000)
    one.answers()
    assert one.events[0].what == EVENT["tamper"]


def test_a_forged_frame_changes_nothing_but_a_counter() -> None:
    one = running()
    other = mcu_link.Session(bytes(32), bytes(16), bytes(16), True)
    for kind, body in ((mcu_words.POWER, b"\0"), (mcu_words.HOLD, b"\x0e\x10\0"), (mcu_words.BEAT, b"\1\x0f\0\0\0\1")):
        before, said = snapshot(one), len(one.board.outbox)
        one.board.inbox.extend(other.seal(kind, body))
        one.turn(0)
        assert snapshot(one) == before
        assert len(one.board.outbox) == said
    assert one.supervisor.link.dropped == 3


def test_a_replayed_frame_changes_nothing_but_a_counter() -> None:
    one = running()
    frame = one.session.seal(mcu_words.POWER, b"\1")
    one.board.inbox.extend(frame)
    one.turn(0)
    assert one.state() == "DRAIN"
    one.beat()
    before = snapshot(one)
    one.board.outbox = bytearray()
    one.board.inbox.extend(frame)
    one.turn(0)
    assert snapshot(one) == before
    assert one.board.outbox == b""


def test_a_replayed_hello_never_ends_the_session_in_force() -> None:
    one = running()
    body = mcu_words.pack(mcu_words.HELLO, bytes(16), 1, 1, 31)
    one.board.inbox.extend(mcu_link.seal(one.key, mcu_words.HELLO, 0, body) * 3)
    one.turn(0)
    one.board.outbox = bytearray()
    assert one.beat() is not None


def test_a_frame_of_the_session_before_is_worth_nothing_in_the_next() -> None:
    one = running()
    old = one.session
    one.hello()
    one.beat()
    before = snapshot(one)
    old.outgoing = 1000
    one.board.inbox.extend(old.seal(mcu_words.POWER, b"\0"))
    one.turn(0)
    assert snapshot(one) == before


def snapshot(one: Bench):  # type: ignore[no-untyped-def]
    policy = one.supervisor.policy
    kept = (policy.state, policy.left_ms, policy.boots, policy.may_hold, policy.steady_ms, policy.is_paired)
    return (kept, tuple(one.board.power_changes), one.supervisor.beat_age_ms, len(one.supervisor.journal.events))


def test_a_hold_is_granted_capped_and_ended_by_the_host() -> None:
    one = running()
    assert one.say(mcu_words.HOLD, 65_535, 0) == [(mcu_words.DONE, (mcu_words.HOLD, 3600))]
    one.pass_time(600_000)
    assert one.state() == "HOLD"
    assert one.board.power_changes == [True]
    one.say(mcu_words.HOLD, 0, 0)
    assert one.state() == "UP"
    assert refusal(one.say(mcu_words.HOLD, 60, 0)) == "not-now"


def test_an_asked_cycle_is_answered_before_it_is_done() -> None:
    one = running()
    assert one.say(mcu_words.POWER, mcu_words.CYCLE_NOW) == [(mcu_words.DONE, (mcu_words.POWER, 0))]
    assert one.board.has_power is False
    one.pass_time(5000)
    assert one.board.has_power is True
    assert mcu_words.RESETS[one.hello().reset] == "asked"


def test_a_word_that_nobody_knows_is_refused_by_name() -> None:
    one = running()
    one.board.inbox.extend(one.session.seal(0x60, b"x"))
    one.board.inbox.extend(one.session.seal(mcu_words.POWER, b"\7"))
    one.turn()
    why = [(word.kind, mcu_words.REFUSALS[word.why]) for kind, word in one.answers() if kind == mcu_words.REFUSED]
    assert why == [(0x60, "not-known"), (mcu_words.POWER, "bad-value")]


def test_a_reset_of_the_supervisor_never_drops_the_power_wherever_it_happens() -> None:
    for passed_ms in range(0, 30_000, 1500):
        one = running()
        one.pass_time(passed_ms)
        had_power = one.board.has_power
        changes = len(one.board.power_changes)
        one.reset()
        assert one.board.power_changes[changes:] == ([] if had_power else [True])
        assert one.state() == "BOOT"


def test_failures_are_counted_over_resets_of_the_supervisor_and_a_rollback_is_asked_at_three() -> None:
    one = Bench()
    for failure in range(1, 4):
        one.pass_time(120_000, 1000)
        one.pass_time(5000)
        one.reset()
        assert one.supervisor.policy.boots == failure
    assert one.hello().flags & mcu_words.ROLLBACK_ASKED
    one.beat()
    one.beat_for(62_000)
    assert one.beat().flags & mcu_words.ROLLBACK_ASKED == 0
    one.pass_time(11_000)
    one.reset()
    assert one.supervisor.policy.boots == 0


def test_an_unpaired_supervisor_watches_over_nothing_and_is_paired_once() -> None:
    one = Bench(is_paired=False)
    one.pass_time(600_000, 1000)
    assert one.board.power_changes == [True]
    assert one.hello(key=mcu_link.UNPAIRED_KEY).flags & mcu_words.UNPAIRED
    assert refusal(one.say(mcu_words.POWER, 0)) == "not-now"
    assert refusal(one.say(mcu_words.HOLD, 60, 0)) == "not-now"
    assert refusal(one.say(mcu_words.SECURE, 0x30, 0, 0, b"")) == "not-now"
    assert refusal(one.say(mcu_words.UPGRADE_BEGIN, 1000, 0, 2, 0, bytes(32))) == "not-now"
    assert one.beat().state == mcu_words.STATES.index("LOCKOUT")
    assert one.say(mcu_words.PAIR, one.key) == [(mcu_words.PAIRED, (mcu_link.fingerprint(one.key),))]
    assert refusal(one.say(mcu_words.PAIR, bytes(range(1, 33)))) == "not-now"
    one.welcome = None
    assert one.hello(key=mcu_link.UNPAIRED_KEY) is None
    assert one.hello() is not None
    one.reset()
    assert one.hello() is not None


def test_a_key_of_zeros_is_no_key() -> None:
    one = Bench(is_paired=False)
    one.hello(key=mcu_link.UNPAIRED_KEY)
    assert refusal(one.say(mcu_words.PAIR, bytes(32))) == "not-now"


def test_only_a_hand_unpairs_and_clears_the_latch() -> None:
    one = running()
    one.board.is_open = True
    one.turn()
    assert one.beat().flags & mcu_words.TAMPERED
    one.board.is_open = False
    one.board.is_down = True
    one.pass_time(11_000, 100)
    one.beat()
    one.board.is_down = False
    one.pass_time(200, 10)
    assert one.state() == "LOCKOUT"
    one.pass_time(6000)
    status = one.beat()
    assert status.flags & mcu_words.UNPAIRED
    assert not status.flags & mcu_words.TAMPERED
    assert Record(one.board.folder, "pairing").load() is None
    one.pass_time(6000)
    one.answers()
    while one.events[-1].what != EVENT["button-factory-reset"]:
        number = one.events[-1].number
        one.say(mcu_words.ACK, number)
        one.turn()
        one.answers()
        assert one.events[-1].number > number
    one.welcome = None
    assert one.hello() is None
    assert one.hello(key=mcu_link.UNPAIRED_KEY) is not None


def test_a_full_file_system_costs_memory_over_a_reset_and_nothing_else() -> None:
    one = running()
    one.board.folder.room = 0
    one.beat_for(20_000)
    one.pass_time(30_000)
    assert one.board.power_changes == [True, False, True]
    assert one.supervisor.journal.failed_writes > 0


def test_the_watchdog_is_fed_once_in_a_turn_and_not_by_one_that_fails() -> None:
    one = running()
    before = one.board.fed
    one.turn()
    assert one.board.fed == before + 1
    one.board.tamper_open = None
    try:
        one.turn()
    except TypeError:
        pass
    assert one.board.fed == before + 1


def test_a_flood_is_read_in_bounded_pieces() -> None:
    one = running()
    one.board.inbox.extend(b"\x55" * 5000)
    one.turn()
    assert len(one.board.inbox) == 5000 - 512


def test_ticks_that_come_around_are_no_time() -> None:
    one = running()
    one.beat_for(180_000)
    assert one.board.now_ms > 1 << 30
    assert one.board.power_changes == [True]


def test_measurements_come_as_senml_or_are_refused_by_name() -> None:
    one = running()
    one.pass_time(2000)
    kind, word = one.say(mcu_words.MEASURE)[0]
    if kind == mcu_words.REFUSED:
        assert mcu_words.REFUSALS[word.why] == "no-part"
        return
    import cbor2

    values = {record[0]: record[2] for record in cbor2.loads(word.data)}
    assert abs(values["supply"] - 5.0) < 0.01
    assert abs(values["temperature"] - 40.0) < 0.1
    assert values["boots"] == 0


def test_the_lamps_show_the_state_the_hosts_pattern_and_the_button() -> None:
    one = running()
    one.turn()
    assert one.board.lamps == (True, False)
    one.say(mcu_words.LEDS, mcu_words.PATTERNS.index("locate"), 2)
    seen = set()
    for _ in range(30):
        one.turn(10)
        seen.add(one.board.lamps)
    assert seen == {(True, True), (False, False)}
    assert refusal(one.say(mcu_words.LEDS, 1, 601)) == "too-long"
    one.pass_time(2000)
    assert one.board.lamps == (True, False)
    one.board.is_down = True
    one.pass_time(500, 100)
    assert one.board.lamps == (False, False)


def test_two_boards_share_nothing() -> None:
    one, other = Bench(Board(MemoryFolder())), Bench(Board(MemoryFolder()))
    one.pass_time(120_000, 1000)
    assert other.state() == "BOOT"
    assert other.board.power_changes == [True]
