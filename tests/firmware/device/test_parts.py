"""The small parts, each alone: button, latch, levels, lamps, relay, records, journal."""

from bench_board import MemoryFolder

from loader import records
from loader.records import Record
from supervisor import button, leds, monitor, power
from supervisor.button import Button
from supervisor.journal import MOST, Journal
from supervisor.monitor import Level, Monitor
from supervisor.power import Power
from supervisor.tamper import Tamper


def held(ms: int, bounces: bool = False) -> int:
    one = Button()
    for at in range(0, ms, 10):
        assert one.tick(10, not (bounces and at % 100 == 0)) == button.NOTHING
    return max(one.tick(10, False) for _ in range(10))


def test_how_long_the_button_is_held_is_what_it_means() -> None:
    wanted = ((40, 0), (60, 1), (2900, 1), (3100, 2), (9900, 2), (10_100, 3), (29_000, 3), (31_000, 0))
    assert [held(ms) for ms, _ in wanted] == [meant for _, meant in wanted]


def test_a_bouncing_contact_is_one_press() -> None:
    assert held(5000, bounces=True) == button.ENROLL


def test_a_stuck_button_shows_nothing_and_works_again_when_it_is_free() -> None:
    one = Button()
    for _ in range(400):
        one.tick(100, True)
    assert one.stage == button.NOTHING
    for _ in range(10):
        one.tick(10, False)
    for _ in range(40):
        one.tick(100, True)
    assert one.stage == button.ENROLL


def test_an_opening_is_told_once_and_remembered() -> None:
    one = Tamper(False)
    assert [one.tick(is_open) for is_open in (False, True, True, False, True)] == [False, True, False, False, True]
    assert one.has_opened
    one.clear()
    assert not one.has_opened
    assert Tamper(True).has_opened


def test_a_level_needs_three_samples_and_does_not_flap() -> None:
    one = Level(monitor.LOW_MV, monitor.GOOD_MV)
    told = [one.take(mv) for mv in (4500, 4500, 5000, 4500, 4500, 4500, 4500, 4700, 4700, 4700, 4700)]
    assert told == [False] * 5 + [True] + [False] * 5
    assert one.is_bad
    for _ in range(3):
        assert not one.take(4800)
    assert not one.is_bad
    hot = Level(monitor.HOT_DC, monitor.COOL_DC)
    assert [hot.take(900) for _ in range(3)] == [False, False, True]


def test_a_sensor_that_is_missing_judges_nothing() -> None:
    one = Monitor(lambda: None, lambda: None)
    for _ in range(10):
        assert one.tick(1000) == (False, False)
    assert (one.supply_mv, one.temperature_dc) == (None, None)


def test_every_lamp_pattern_lights_what_it_says() -> None:
    for pattern in leds.STATE_PATTERNS + leds.HOST_PATTERNS[1:]:
        green, red = pattern[:2], pattern[2:]
        assert any(leds.is_lit(ms, green[0], green[1]) or leds.is_lit(ms, red[0], red[1]) for ms in range(2500))
    assert not leds.is_lit(0, 0, 0)


def test_power_is_given_at_once_and_no_cut_lasts() -> None:
    seen = []
    one = Power(seen.append)
    assert seen == [True]
    one.cut()
    assert seen[-1] is False
    one.tick(power.MOST_CUT_MS - 1)
    assert seen[-1] is False
    one.tick(1)
    assert seen[-1] is True
    one.tick(1)
    assert one.is_given


def test_a_record_survives_a_write_that_is_cut_at_any_octet() -> None:
    for room in range(30):
        folder = MemoryFolder()
        one = Record(folder, "r")
        assert one.load() is None
        one.save(b"first")
        one.save(b"second")
        folder.room = room
        wanted = b"second"
        try:
            one.save(b"third")
            wanted = b"third"
        except OSError:
            pass
        folder.room = None
        again = Record(folder, "r")
        assert again.load() == wanted
        again.save(b"fourth")
        assert Record(folder, "r").load() == b"fourth"


def test_a_record_with_any_octet_changed_is_not_given_back() -> None:
    whole = records.wrap(7, b"value")
    assert records.unwrap(whole) == (7, b"value")
    for at in range(len(whole)):
        changed = whole[:at] + bytes((whole[at] ^ 0x10,)) + whole[at + 1 :]
        assert records.unwrap(changed) == (0, None)
    assert records.unwrap(whole + b"\0") == (0, None)
    assert records.unwrap(b"") == (0, None)


def journal(folder: MemoryFolder) -> Journal:
    return Journal(Record(folder, "journal"))


def test_the_journal_keeps_events_and_numbers_over_a_reset() -> None:
    folder = MemoryFolder()
    one = journal(folder)
    one.set(3, 2, True)
    one.note(4, 5)
    one.note(6)
    one.heard(1)
    one.save()
    again = journal(folder)
    assert (again.boots, again.reset, again.is_tampered) == (3, 2, True)
    assert again.unheard()[:3] == [2, 6, 0]
    again.note(7)
    assert again.events[-1][0] == 3


def test_the_journal_forgets_the_oldest_and_an_unknown_number_is_nothing() -> None:
    one = journal(MemoryFolder())
    for what in range(MOST + 5):
        one.note(what % 3)
    assert len(one.events) == MOST
    assert one.events[0][0] == 6
    assert not one.heard(1)
    assert one.heard(6)


def test_flash_is_not_worn_by_events_that_come_fast() -> None:
    folder = MemoryFolder()
    one = journal(folder)
    writes = []
    save = one.save
    one.save = lambda: (writes.append(1), save())
    for _ in range(600):
        one.note(2)
        one.tick(100)
    assert len(writes) <= 7


def test_a_journal_of_another_shape_is_an_empty_one() -> None:
    folder = MemoryFolder()
    Record(folder, "journal").save(b"\1\2\3")
    assert journal(folder).events == []
