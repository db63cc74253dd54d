"""Newcomers are held within bounds and give way to each other; what an enrolled sensor has stays its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector_client.ingest.connections import NEWCOMER_REQUESTS, Connection, Connections

HEAD_S, IDLE_S = 40.0, 180.0


class Door:
    """Connections under a clock of the test's, and the numbers of those that were cut."""

    def __init__(self, limit: int = 8, per_address: int = 3, per_minute: int = 60) -> None:
        self.now_s = 0.0
        self.cut: list[tuple[int, bool]] = []
        self._next = 0
        self.connections = Connections(
            limit=limit,
            newcomers_per_address=per_address,
            per_minute=per_minute,
            head_s=HEAD_S,
            idle_s=IDLE_S,
            now_s=lambda: self.now_s,
        )

    def enter(self, address: str) -> Connection | str:
        self._next += 1
        number = self._next
        return self.connections.enter(address, lambda gently: self.cut.append((number, gently)))

    def let_in(self, address: str) -> Connection:
        made = self.enter(address)
        assert isinstance(made, Connection)
        return made

    def enroll(self, address: str, sensor: str) -> Connection:
        made = self.let_in(address)
        self.connections.recognize(made, sensor, f"key of {sensor}")
        return made


def test_attack_one_address_holds_all_the_doors() -> None:
    door = Door(limit=100)
    answers = [door.enter("attacker") for _ in range(10)]
    assert [isinstance(answer, Connection) for answer in answers] == [True] * 3 + [False] * 7
    assert answers[-1] == "more than 3 connections at once without an enrolled sensor"
    assert isinstance(door.enter("honest"), Connection)


def test_attack_one_address_opens_and_closes_without_end() -> None:
    door = Door(per_minute=5)
    answers = []
    for _ in range(8):
        answers.append(door.enter("attacker"))
        if isinstance(answers[-1], Connection):
            door.connections.gone(answers[-1])
    assert [isinstance(answer, Connection) for answer in answers] == [True] * 5 + [False] * 3
    assert answers[-1] == "more than 5 connections a minute"
    assert isinstance(door.enter("honest"), Connection)
    door.now_s = 12.0
    assert isinstance(door.enter("attacker"), Connection)


def test_attack_a_thousand_addresses_crowd_out_only_each_other() -> None:
    door = Door(limit=8)
    sensors = [door.enroll(f"site {number}", f"s{number}") for number in range(4)]
    crowd = [door.let_in(f"attacker {number}") for number in range(1000)]
    assert len(door.connections) == 8
    assert door.cut == [(number, False) for number in range(5, 1001)], "the oldest newcomers, in order"
    assert door.connections.enrolled() == sensors
    assert crowd[-1] in door.connections._open.values()


def test_an_enrolled_sensor_counts_no_more_against_its_address() -> None:
    door = Door(limit=100)
    for number in range(20):
        door.enroll("a large site", f"s{number}")
    assert len(door.connections.enrolled()) == 20
    assert door.connections._of_address == {}


def test_when_all_are_enrolled_a_newcomer_finds_no_room() -> None:
    door = Door(limit=4)
    for number in range(4):
        door.enroll(f"site {number}", f"s{number}")
    assert door.enter("honest") == "4 connections of enrolled sensors"
    assert door.cut == []


def test_the_silent_and_the_idle_are_cut_in_time_and_who_is_served_is_not() -> None:
    door = Door()
    silent, idle, served = door.let_in("a"), door.enroll("b", "s1"), door.enroll("c", "s2")
    for connection in (idle, served):
        door.connections.serving(connection)
    door.connections.served(idle)
    door.now_s = HEAD_S + 1
    door.connections.sweep()
    assert door.cut == [(silent.number, False)]
    door.now_s = IDLE_S + 1
    door.connections.sweep()
    assert door.cut == [(silent.number, False), (idle.number, True)]
    assert list(door.connections._open.values()) == [served]


def test_what_a_key_has_open_is_closed_also_while_it_is_served() -> None:
    door = Door()
    idle, served, other = door.enroll("a", "s1"), door.enroll("b", "s1"), door.enroll("c", "s2")
    door.connections.serving(served)
    assert door.connections.close_of_keys({"key of s1"}) == ["s1"]
    assert door.cut == [(idle.number, True), (served.number, False)]
    assert door.connections.enrolled() == [other]


def test_a_newcomers_connection_wears_out_and_a_sensors_does_not() -> None:
    door = Door()
    newcomer, sensor = door.let_in("a"), door.enroll("b", "s1")
    for connection in (newcomer, sensor):
        for _ in range(NEWCOMER_REQUESTS):
            assert not door.connections.is_worn_out(connection)
            door.connections.serving(connection)
            door.connections.served(connection)
    assert door.connections.is_worn_out(newcomer)
    assert not door.connections.is_worn_out(sensor)


def test_attack_silent_doors_push_out_nobody_who_has_said_something() -> None:
    door = Door(limit=8, per_address=100, per_minute=1000)
    honest = door.let_in("honest")
    door.connections.speaks(honest)
    for number in range(50):
        door.let_in(f"silent {number}")
    assert honest.number not in {number for number, _ in door.cut}


def test_attack_doors_that_stop_after_a_byte_push_out_nobody_who_is_about_to_speak() -> None:
    door = Door(limit=8, per_address=100, per_minute=1000)
    for number in range(4):
        door.connections.speaks(door.let_in(f"loris {number}"))
    honest = door.let_in("honest")
    for number in range(50):
        door.connections.speaks(door.let_in(f"loris again {number}"))
    assert honest.number not in {number for number, _ in door.cut}
    door.connections.speaks(honest)
    for number in range(4):
        door.connections.speaks(door.let_in(f"loris at last {number}"))
    assert (honest.number, False) in door.cut, "when all have spoken, the oldest"


def newcomers_of(door: Door) -> dict[int, Connection]:
    return door.connections._silent | door.connections._spoken


deeds = st.lists(
    st.tuples(st.sampled_from(["enter", "gone", "speak", "recognize", "wait", "sweep"]), st.integers(0, 30)),
    max_size=120,
)


@pytest.mark.parametrize("limit", [2, 7])
@given(deeds=deeds)
def test_no_order_of_events_goes_beyond_the_limits_or_leaves_anything_behind(
    limit: int, deeds: list[tuple[str, int]]
) -> None:
    door = Door(limit=limit, per_address=2, per_minute=10)
    made: list[Connection] = []
    for deed, number in deeds:
        if deed == "enter" and isinstance(entered := door.enter(f"address {number % 5}"), Connection):
            made.append(entered)
        elif deed == "gone" and made:
            door.connections.gone(made[number % len(made)])
        elif deed == "recognize" and made and made[number % len(made)].number in door.connections._open:
            door.connections.recognize(made[number % len(made)], f"s{number}", f"k{number}")
        elif deed == "speak" and made:
            door.connections.speaks(made[number % len(made)])
        elif deed == "wait":
            door.now_s += number
        elif deed == "sweep":
            door.connections.sweep()
        newcomers = newcomers_of(door)
        assert len(door.connections) <= limit
        assert len(newcomers) <= max(1, limit // 2)
        assert sum(door.connections._of_address.values()) == len(newcomers)
        assert max(door.connections._of_address.values(), default=0) <= 2
    for connection in made:
        door.connections.gone(connection)
    assert (len(door.connections), newcomers_of(door), door.connections._of_address) == (0, {}, {})
