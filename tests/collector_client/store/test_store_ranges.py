"""Intervals of known numbers against the obvious model: a set."""

from __future__ import annotations

import sqlite3

from hypothesis import given
from hypothesis import strategies as st

from collector_client.store import ranges
from collector_client.store.schema import CONTROL_MIGRATIONS, migrate

SPANS = st.tuples(st.integers(1, 60), st.integers(0, 9)).map(lambda pair: (pair[0], pair[0] + pair[1]))


def control() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, CONTROL_MIGRATIONS, "memory")
    return connection


@given(st.lists(SPANS, max_size=25), SPANS)
def test_intervals_know_what_a_set_knows(added: list[tuple[int, int]], asked: tuple[int, int]) -> None:
    connection, model = control(), set[int]()
    for first, last in added:
        ranges.add(connection, "s", 1, ranges.ACCOUNTED, (first, last))
        model.update(range(first, last + 1))
    rows = connection.execute("SELECT first_seq, last_seq FROM sequence_ranges ORDER BY first_seq").fetchall()
    assert rows == ranges.compress(model), "disjoint, merged, complete"
    expected_end = asked[0] - 1
    while expected_end + 1 in model:
        expected_end += 1
    assert ranges.accounted_to(connection, "s", 1, asked[0]) == expected_end
    missing = set(range(1, max(model, default=0))) - model
    assert ranges.gaps(connection, "s", 1) == ranges.compress(missing)
    near = ranges.near(connection, "s", 1, ranges.ACCOUNTED, asked)
    left = {number for low, high in ranges.subtract(asked, near) for number in range(low, high + 1)}
    assert left == set(range(asked[0], asked[1] + 1)) - model
    connection.close()


def test_a_sensor_that_leaves_a_hole_at_every_other_number_gets_a_bounded_answer() -> None:
    connection = control()
    for number in range(1, 2001, 2):
        ranges.add(connection, "s", 1, ranges.ACCOUNTED, (number, number))
    found = ranges.gaps(connection, "s", 1)
    assert len(found) == ranges.MAX_GAPS
    assert found[0] == (2, 2)
    connection.close()


def test_numbers_up_to_63_bits_fit() -> None:
    connection, top = control(), (1 << 63) - 1
    ranges.add(connection, "s", top, ranges.ACCOUNTED, (1, top - 1))
    assert ranges.accounted_to(connection, "s", top, 1) == top - 1
    connection.close()
