"""The host's side of the link against a board in memory, on a clock of the test's: every state is reached and left."""

from __future__ import annotations

import pytest

from appliance.mcu.errors import NoAnswerError, OrderRefusedError
from appliance.mcu.link import GREET_MOST_S, MEANING, SILENCE_S, TRANSITIONS, Happening, State
from appliance.mcu.order import ANSWERS, NAMES
from appliance.wire import mcu_words as words
from appliance.wire.mcu_link import UNPAIRED_KEY, seal
from tests.appliance.mcu.line import HEALTHY, Line
from tests.fakes.board import GOOD, KEY, Board, granted


def test_a_board_with_our_key_is_up_and_hears_a_beat_a_second() -> None:
    line = Line().open()
    assert line.link.state is State.UP
    assert line.link.status == GOOD
    assert (line.link.welcome.reset, line.link.welcome.boots) == (2, 2)
    before = len(line.board.beats)
    line.pass_s(10)
    assert 9 <= len(line.board.beats) - before <= 11
    assert line.board.beats[0] == words.Beat(*HEALTHY)


def test_the_beat_is_faster_than_any_patience_that_the_board_names() -> None:
    line = Line(Board(beat_limit_s=2)).open()
    before = len(line.board.beats)
    line.pass_s(10)
    assert len(line.board.beats) - before >= 18


def test_nothing_is_said_before_there_is_a_port_and_after_it_went() -> None:
    line = Line()
    line.pass_s(60)
    assert (line.sent, line.board.hellos, line.link.state) == (b"", 0, State.ABSENT)
    line.open()
    line.link.gone(line.now_s, "pulled out")
    line.pass_s(60)
    assert (line.sent, line.link.state, line.link.reason) == (b"", State.ABSENT, "pulled out")


def test_a_port_that_comes_back_is_greeted_anew() -> None:
    line = Line().open()
    for _ in range(3):
        line.link.gone(line.now_s, "pulled out")
        line.board.power()
        line.open()
        assert line.link.state is State.UP
    assert line.link.sessions == 4


def test_a_board_that_restarted_by_itself_is_up_again_after_its_silence() -> None:
    line = Line().open()
    line.board.power()
    line.pass_s(SILENCE_S + 2)
    assert (line.link.state, line.link.sessions) == (State.UP, 2)


def test_a_board_that_does_not_answer_is_silent_and_asked_ever_more_seldom() -> None:
    line = Line(Board(deaf=True)).open()
    line.pass_s(60)
    assert line.link.state is State.SILENT
    line.board.deaf = False
    line.pass_s(2 * GREET_MOST_S)
    assert line.link.state is State.UP


def test_a_board_with_another_key_is_never_up() -> None:
    line = Line(Board(key=b"\1" * 32)).open()
    line.pass_s(120)
    assert line.link.state is State.SILENT
    assert line.board.beats == []


def test_a_board_that_talks_something_else_is_foreign() -> None:
    line = Line(Board(deaf=True), up=lambda _: b"login: \0").open()
    line.pass_s(10)
    assert line.link.state is State.FOREIGN


def test_noise_that_has_ended_is_silence_again() -> None:
    line = Line(Board(deaf=True), up=lambda _: b"login: \0").open()
    line.pass_s(10)
    line.up = lambda _: b""
    line.pass_s(4 * GREET_MOST_S)
    assert line.link.state is State.SILENT


def test_an_echo_of_our_own_words_is_foreign() -> None:
    line = Line(Board(deaf=True))
    line.up = lambda _: line.sent
    line.open().pass_s(10)
    assert line.link.state is State.FOREIGN


def test_a_board_without_a_key_in_place_of_ours_is_named_and_hears_no_beat() -> None:
    line = Line(Board(key=UNPAIRED_KEY)).open()
    line.pass_s(30)
    assert line.link.state is State.UNPAIRED
    assert line.board.beats == []
    line.board.key = KEY
    line.board.power()
    line.pass_s(4 * GREET_MOST_S)
    assert line.link.state is State.UP


def test_a_box_without_a_key_finds_a_board_without_one() -> None:
    assert Line(Board(key=UNPAIRED_KEY), key=None).open().link.state is State.UNPAIRED
    line = Line(Board(), key=None).open()
    line.pass_s(30)
    assert line.link.state is State.SILENT


@pytest.mark.parametrize("version", [0, 2, 255])
def test_a_board_of_another_version_is_named_until_one_side_is_updated(version: int) -> None:
    line = Line(Board(version=version, oldest=2, newest=9)).open()
    line.pass_s(60)
    assert line.link.state is State.OTHER_VERSION
    assert line.link.welcome.newest == 9
    assert line.board.beats == []
    line.board.version = 1
    line.pass_s(2 * GREET_MOST_S)
    assert line.link.state is State.UP


def test_a_newer_host_speaks_what_an_older_board_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "NEWEST", 3)
    line = Line(Board(version=1)).open()
    assert line.link.state is State.UP
    line = Line(Board(version=3, newest=7)).open()
    assert line.link.state is State.UP


def test_a_newer_board_is_told_what_we_know_and_may_say_more() -> None:
    line = Line(Board(oldest=1, newest=200)).open()
    assert line.link.state is State.UP
    assert line.link.welcome.newest == 200


def test_an_event_is_told_once_and_acknowledged_each_time() -> None:
    line = Line().open()
    for _ in range(3):
        said = line.board.say(words.EVENT, 5, words.EVENTS.index("warned"), 0, 2)
        line.events += line.link.receive(said, line.now_s)
        line.turn()
    assert [event.number for event in line.events] == [5]
    assert line.board.acked == [5, 5, 5]


def test_events_without_end_cost_no_memory() -> None:
    line = Line().open()
    for number in range(2000):
        line.link.receive(line.board.say(words.EVENT, number, 0, 0, 0), line.now_s)
    line.turn()
    assert len(line.board.acked) <= 64
    assert line.sent.count(0) <= 70


def test_an_order_is_answered() -> None:
    line = Line(Board(answers={words.HOLD: lambda word: granted(words.HOLD, min(word.seconds, 3600))})).open()
    hold = line.order(words.HOLD, 60_000, words.HOLDS.index("update"))
    line.pass_s(1)
    assert hold.outcome == words.Done(words.HOLD, 3600)
    assert line.board.orders == [words.Hold(60_000, 0)]


def test_orders_are_carried_out_one_after_the_other() -> None:
    line = Line(Board(answers={words.LEDS: lambda _: granted(words.LEDS)})).open()
    orders = [line.order(words.LEDS, n, 1) for n in (0, 1, 2)]
    line.pass_s(1)
    assert [order.outcome is not None for order in orders] == [True] * 3
    assert [word.pattern for word in line.board.orders] == [0, 1, 2]


def test_a_lost_answer_is_asked_for_again() -> None:
    answers = iter([None, None, granted(words.LEDS)])
    line = Line(Board(answers={words.LEDS: lambda _: next(answers)})).open()
    order = line.order(words.LEDS, 1, 1)
    line.pass_s(5)
    assert order.outcome is not None
    assert len(line.board.orders) == 3


def test_an_order_outlives_a_restart_of_the_board() -> None:
    line = Line(Board(answers={words.LEDS: lambda _: granted(words.LEDS)})).open()
    line.board.power()
    order = line.order(words.LEDS, 1, 1, within_s=20)
    line.pass_s(20)
    assert order.outcome is not None
    assert line.link.sessions == 2


def test_an_order_outlives_a_restart_of_the_board_where_nobody_beats() -> None:
    line = Line(Board(answers={words.LEDS: lambda _: granted(words.LEDS)}), health=None).open()
    line.board.power()
    order = line.order(words.LEDS, 1, 1, within_s=20)
    line.pass_s(20)
    assert order.outcome is not None


def test_an_order_that_nobody_answers_ends_in_time() -> None:
    line = Line(Board(answers={words.LEDS: lambda _: None})).open()
    order = line.order(words.LEDS, 1, 1, within_s=3)
    line.pass_s(2.9)
    assert order.failure is None
    line.pass_s(0.2)
    assert isinstance(order.failure, NoAnswerError)


@pytest.mark.parametrize("is_there", [False, True])
def test_an_order_without_a_session_ends_in_time(is_there: bool) -> None:
    line = Line(Board(deaf=True))
    if is_there:
        line.open()
    order = line.order(words.LEDS, 1, 1, within_s=3)
    line.pass_s(4)
    assert isinstance(order.failure, NoAnswerError)


def test_a_refusal_says_why_and_what_to_do() -> None:
    line = Line().open()
    order = line.order(words.MEASURE)
    line.pass_s(1)
    assert isinstance(order.failure, OrderRefusedError)
    assert "measure was refused: not-known" in str(order.failure)
    assert "update" in order.failure.advice


def test_the_answer_to_another_order_is_not_taken() -> None:
    line = Line(Board(answers={words.LEDS: lambda _: granted(words.HOLD, 3600)})).open()
    order = line.order(words.LEDS, 1, 1, within_s=3)
    line.pass_s(4)
    assert isinstance(order.failure, NoAnswerError)


def test_beats_go_on_while_an_order_waits() -> None:
    line = Line(Board(answers={words.LEDS: lambda _: None})).open()
    line.order(words.LEDS, 1, 1, within_s=30)
    before = len(line.board.beats)
    line.pass_s(10)
    assert len(line.board.beats) - before >= 9


def test_a_recorded_session_says_nothing_in_the_next() -> None:
    line = Line().open()
    recorded = line.board.say(words.EVENT, 9, 0, 0, 0) + line.board.say(words.STATUS, *GOOD._replace(state=7))
    line.link.gone(line.now_s, "")
    line.open()
    before = line.link.not_understood
    line.link.receive(recorded, line.now_s)
    assert line.link.not_understood == before + 2
    assert line.link.status == GOOD
    assert line.events == []


def test_a_frame_is_taken_once() -> None:
    line = Line().open()
    said = line.board.say(words.EVENT, 9, 0, 0, 0)
    assert len(line.link.receive(said + said, line.now_s)) == 1
    assert line.link.receive(said, line.now_s) == []


def test_a_recorded_welcome_opens_no_session() -> None:
    recorded: list[bytes] = []

    def record(data: bytes) -> bytes:
        recorded.append(data)
        return data

    line = Line(up=record).open()
    line.link.gone(line.now_s, "")
    line.board.deaf = True
    line.up = lambda _: recorded[0]
    line.open().pass_s(30)
    assert line.link.state is State.FOREIGN


def test_what_a_host_says_is_never_taken_from_a_board() -> None:
    line = Line(Board(deaf=True)).open()
    line.link.receive(seal(KEY, words.HELLO, 0, words.pack(words.HELLO, bytes(16), 1, 1, 0)), line.now_s)
    assert line.link.sessions == 0


def test_the_table_names_only_states_and_leaves_none_without_a_way_out() -> None:
    assert {state for state, _ in TRANSITIONS} == set(State) == set(MEANING)
    for state in State:
        assert {after for (before, _), after in TRANSITIONS.items() if before is state} - {state}
    assert {happening for _, happening in TRANSITIONS} == set(Happening)


def test_every_order_has_a_name_and_an_answer() -> None:
    assert set(NAMES) == set(ANSWERS)
