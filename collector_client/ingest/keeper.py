"""The one thread that writes: batches, heartbeats and enrollments wait here in line and are committed in groups.

    line         who waits                                           taken at once
    sensors      batches, heartbeats, first words of new keys        `MAX_GROUP`
    newcomers    enrollments, renewals, audit rows of refusals       `MAX_NEWCOMERS_GROUP`, after the sensors

Rules of this file: the event loop never waits for a disk. What waits together is committed together (one fsync for
all), and nobody is answered before the commit. A group that fails is tried again one by one, so that one bad batch
harms no other. The lines are bounded, and a flood of newcomers fills only its own; who finds it full is refused and
comes back.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from appliance.wire.codes import SessionCode
from collector_client.ingest.refuse import refuse
from collector_client.store import (
    BatchToStore,
    Control,
    Rejected,
    Stored,
    StoreError,
    TooScatteredError,
    Writer,
    heartbeats,
)

MAX_WAITING = 1024
MAX_NEWCOMERS = 2048
MAX_GROUP = 64
MAX_NEWCOMERS_GROUP = 32
BUSY_RETRY_S = 5

Answer = TypeVar("Answer")


@dataclass(slots=True)
class _Job:
    """One write that waits, and who waits for it; `apart` may be in no transaction of control.db with others."""

    work: BatchToStore | tuple[str, int, str] | Callable[[], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any] = field(repr=False)
    apart: bool = False

    def settle(self, value: object = None, error: BaseException | None = None) -> None:
        """Tell who waits; a waiter that has gone (its connection broke) is passed over."""

        def tell() -> None:
            if self.future.done():
                return
            if error is None:
                self.future.set_result(value)
            else:
                self.future.set_exception(error)

        self.loop.call_soon_threadsafe(tell)


class Keeper:
    """Owns the writer; one per ingest process."""

    def __init__(self, writer: Writer, control: Control) -> None:
        self._writer = writer
        self._control = control
        self._sensors: deque[_Job] = deque()
        self._newcomers: deque[_Job] = deque()
        self._ending = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="keeper")
        self._thread.start()

    async def store(self, batch: BatchToStore) -> Stored:
        """Store a batch; returns once it is on disk.

        Raises:
            RefusedError: the line is full, or the store failed.
        """
        stored: Stored = await self._submit(batch)
        return stored

    async def heartbeat(self, sensor_id: str, received_ns: int, body: str) -> None:
        """Keep a heartbeat; returns once it is on disk.

        Raises:
            RefusedError: the line is full, or the store failed.
        """
        await self._submit((sensor_id, received_ns, body))

    async def quarantine(self, sensor_id: str, received_ns: int, rejected: Rejected) -> None:
        """Keep a document that was refused whole.

        Raises:
            RefusedError: the line is full, or the store failed.
        """
        await self._submit(lambda: self._writer.quarantine(sensor_id, received_ns, rejected), apart=True)

    async def call(self, work: Callable[[], Answer]) -> Answer:
        """Run a transaction of control.db in its turn, for an enrolled sensor.

        Raises:
            RefusedError: from `work`; or the line is full, or the store failed.
        """
        answer: Answer = await self._submit(work)
        return answer

    async def call_newcomer(self, work: Callable[[], Answer]) -> Answer:
        """The same for who is not enrolled yet; these wait in a line of their own.

        Raises:
            RefusedError: as `call`.
        """
        answer: Answer = await self._submit(work, newcomer=True)
        return answer

    def close(self) -> None:
        """Finish what waits, then end the thread. Takes as long as the disk takes."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        self._thread.join()

    async def _submit(self, work: Any, *, newcomer: bool = False, apart: bool = False) -> Any:
        loop = asyncio.get_running_loop()
        job = _Job(work, loop, loop.create_future(), apart)
        line, limit = (self._newcomers, MAX_NEWCOMERS) if newcomer else (self._sensors, MAX_WAITING)
        with self._changed:
            if len(line) >= limit:
                raise refuse(SessionCode.BUSY, f"{limit} writes in line", "fewer", retry_after_s=BUSY_RETRY_S)
            line.append(job)
            self._changed.notify()
        try:
            return await job.future
        except TooScatteredError as error:
            raise refuse(SessionCode.SEQUENCE_SCATTERED, str(error), "numbers in order, in few epochs") from error
        except StoreError as error:
            raise refuse(
                SessionCode.STORE_FAILED, str(error), "a store that can be written", retry_after_s=BUSY_RETRY_S
            ) from error

    def _run(self) -> None:
        while group := self._next_group():
            batches = [job for job in group if isinstance(job.work, BatchToStore)]
            beats = [job for job in group if isinstance(job.work, tuple)]
            self._together(batches, self._store)
            self._together(beats, self._keep_heartbeats)
            for job in group:
                if job.apart:
                    self._alone(job)
            self._in_one_commit([job for job in group if callable(job.work) and not job.apart])

    def _next_group(self) -> list[_Job]:
        """What waits now, at least one; none once the end was asked for and all before it is done."""
        with self._changed:
            self._changed.wait_for(lambda: self._sensors or self._newcomers or self._ending)
            return _taken(self._sensors, MAX_GROUP) + _taken(self._newcomers, MAX_NEWCOMERS_GROUP)

    def _together(self, jobs: list[_Job], work: Callable[[list[_Job]], list[Any]]) -> None:
        if not jobs:
            return
        try:
            answers = work(jobs)
        except Exception as error:  # whatever it was, each waiter must hear of it
            if len(jobs) == 1:
                jobs[0].settle(error=error)
                return
            for job in jobs:
                self._together([job], work)
        else:
            for job, answer in zip(jobs, answers, strict=True):
                job.settle(answer)

    def _in_one_commit(self, jobs: list[_Job]) -> None:
        """Each job's transaction by itself, all of them on disk at once."""
        outcomes = []
        if len(jobs) > 1:
            try:
                with self._control.group():
                    outcomes = [_outcome(job) for job in jobs]
            except Exception:  # nothing of it happened: again, one by one
                outcomes = []
        if not outcomes:
            for job in jobs:
                self._alone(job)
        for job, (value, error) in zip(jobs, outcomes, strict=False):
            job.settle(value, error)

    @staticmethod
    def _alone(job: _Job) -> None:
        job.settle(*_outcome(job))

    def _store(self, jobs: list[_Job]) -> list[Stored]:
        return self._writer.store_batches([job.work for job in jobs if isinstance(job.work, BatchToStore)])

    def _keep_heartbeats(self, jobs: list[_Job]) -> list[None]:
        with self._control.transaction() as connection:
            for job in jobs:
                if isinstance(job.work, tuple):
                    heartbeats.record(connection, *job.work)
        return [None] * len(jobs)


def _taken(line: deque[_Job], most: int) -> list[_Job]:
    return [line.popleft() for _ in range(min(most, len(line)))]


def _outcome(job: _Job) -> tuple[object, Exception | None]:
    """What a job's own work came to: a value, or an error of which its waiter must hear."""
    try:
        return cast("Callable[[], object]", job.work)(), None
    except Exception as error:
        return None, error
