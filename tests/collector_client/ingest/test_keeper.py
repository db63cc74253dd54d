"""Writes that wait together reach the disk together, none is answered before, and a flood of newcomers waits alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from appliance.wire.codes import SessionCode
from collector_client.ingest.keeper import MAX_NEWCOMERS, MAX_NEWCOMERS_GROUP, MAX_WAITING, Keeper
from collector_client.ingest.refuse import RefusedError, refuse
from collector_client.store import Control, Writer, audit
from tests.collector_client.harness import TurnedClock


class Bench:
    """A keeper on a real store, held up until the test lets it go; every commit of control.db is counted."""

    def __init__(self, directory: Path) -> None:
        Control.create(directory).close()
        self.writer = Writer.open(directory, TurnedClock())
        self.control = Control.open(directory)
        self.keeper = Keeper(self.writer, self.control)
        self.go = threading.Event()
        self.begun = threading.Event()
        self.statements: list[str] = []
        self.control._connection.set_trace_callback(self.statements.append)

    def hold(self) -> None:
        """The first job: until `go`, all others wait in line."""
        self.begun.set()
        self.go.wait()

    def row(self, subject: str) -> str:
        """A job that writes one audit row."""
        with self.control.transaction() as connection:
            audit.record(connection, 1, "test", "write", subject)
        return subject

    def commits(self) -> int:
        return self.statements.count("COMMIT")

    def subjects(self) -> list[str]:
        with self.control.reading() as connection:
            return [str(row[0]) for row in connection.execute("SELECT subject FROM audit ORDER BY audit_id")]

    def end(self) -> None:
        self.go.set()
        self.keeper.close()
        self.control.close()
        self.writer.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.end()


async def waiting(bench: Bench, jobs: list[Callable[[], object]]) -> list[asyncio.Task[object]]:
    """Jobs of newcomers, all of them in line behind the one that holds the keeper up."""
    holding = asyncio.create_task(bench.keeper.call_newcomer(bench.hold))
    await asyncio.to_thread(bench.begun.wait)
    tasks = [asyncio.create_task(bench.keeper.call_newcomer(job)) for job in jobs]
    await asyncio.sleep(0)
    return [holding, *tasks]


def test_what_waits_together_is_one_commit_and_each_gets_its_own_answer(bench: Bench) -> None:
    def refused() -> str:
        with bench.control.transaction() as connection:
            audit.record(connection, 1, "test", "write", "must not stay")
            raise refuse(SessionCode.TOKEN_USED, "a", "b")

    async def run() -> list[object]:
        jobs: list[Callable[[], object]] = [lambda n=n: bench.row(f"r{n}") for n in range(10)]  # type: ignore[misc]
        jobs.insert(4, refused)
        tasks = await waiting(bench, jobs)
        bench.go.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    answers = asyncio.run(run())[1:]
    refusal = answers.pop(4)
    assert isinstance(refusal, RefusedError)
    assert refusal.refusal.code == str(SessionCode.TOKEN_USED)
    assert answers == [f"r{n}" for n in range(10)]
    assert bench.commits() == 1
    assert bench.subjects() == [f"r{n}" for n in range(10)]
    with bench.control.reading() as connection:
        assert audit.verify(connection) is None


def test_a_group_that_cannot_be_committed_is_tried_one_by_one(bench: Bench) -> None:
    with bench.control.transaction() as connection:
        connection.execute("CREATE TABLE parents (id INTEGER PRIMARY KEY)")
        connection.execute("CREATE TABLE children (id INTEGER REFERENCES parents DEFERRABLE INITIALLY DEFERRED)")

    def bad() -> None:
        with bench.control.transaction() as connection:
            connection.execute("INSERT INTO children VALUES (1)")  # seen only at the commit

    async def run() -> list[object]:
        tasks = await waiting(bench, [lambda: bench.row("before"), bad, lambda: bench.row("after")])
        bench.go.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    _, before, failed, after = asyncio.run(run())
    assert (before, after) == ("before", "after")
    assert isinstance(failed, RefusedError)
    assert failed.refusal.code == str(SessionCode.STORE_FAILED)
    assert bench.subjects() == ["before", "after"]


def test_attack_newcomers_that_fill_their_line_are_refused_and_a_sensor_is_next(bench: Bench) -> None:
    order: list[str] = []

    async def run() -> RefusedError:
        newcomers: list[Callable[[], object]] = [lambda: order.append("newcomer")] * MAX_NEWCOMERS
        tasks = await waiting(bench, newcomers)
        sensor = asyncio.create_task(bench.keeper.call(lambda: order.append("sensor")))
        await asyncio.sleep(0)  # so that it is in line
        with pytest.raises(RefusedError) as refused:
            await bench.keeper.call_newcomer(lambda: order.append("too many"))
        bench.go.set()
        await asyncio.gather(sensor, *tasks)
        return refused.value

    refusal = asyncio.run(run()).refusal
    assert (refusal.code, refusal.retry_after_s) == (str(SessionCode.BUSY), 5)
    assert order == ["sensor"] + ["newcomer"] * MAX_NEWCOMERS


def test_sensors_that_fill_their_line_do_not_keep_newcomers_out_for_ever(bench: Bench) -> None:
    order: list[str] = []

    async def run() -> None:
        tasks = await waiting(bench, [lambda: order.append("newcomer")] * MAX_NEWCOMERS_GROUP)
        sensors = [asyncio.create_task(bench.keeper.call(lambda: order.append("sensor"))) for _ in range(MAX_WAITING)]
        await asyncio.sleep(0)
        bench.go.set()
        await asyncio.gather(*tasks, *sensors)

    asyncio.run(run())
    assert order.index("newcomer") < 100
    assert len(order) == MAX_WAITING + MAX_NEWCOMERS_GROUP


def test_the_end_comes_after_all_that_waited(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    async def run() -> list[object]:
        tasks = await waiting(bench, [lambda: bench.row("last")])
        bench.go.set()
        await asyncio.to_thread(bench.end)
        return await asyncio.gather(*tasks)

    assert asyncio.run(run())[1] == "last"
    with closing(Control.open(tmp_path)) as control, control.reading() as connection:
        assert connection.execute("SELECT COUNT(*) FROM audit").fetchone() == (1,)
