"""The one thread that writes: batches, heartbeats and enrollments wait here in line and are committed in groups.

Rules of this file: the event loop never waits for a disk. What waits together is committed together (one fsync for
all), and nobody is answered before the commit. A group that fails is tried again one by one, so that one bad batch
harms no other. The line is bounded; who finds it full is refused and comes back.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from appliance.wire.codes import SessionCode
from collector_client.ingest.refuse import RefusedError, refuse
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
MAX_GROUP = 64
BUSY_RETRY_S = 5

Answer = TypeVar("Answer")


@dataclass(slots=True)
class _Job:
    """One write that waits, and who waits for it."""

    work: BatchToStore | tuple[str, int, str] | Callable[[], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any] = field(repr=False)

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
        self._waiting: queue.Queue[_Job | None] = queue.Queue(MAX_WAITING)
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
        await self.call(lambda: self._writer.quarantine(sensor_id, received_ns, rejected))

    async def call(self, work: Callable[[], Answer]) -> Answer:
        """Run a transaction of its own in its turn.

        Raises:
            RefusedError: from `work`; or the line is full, or the store failed.
        """
        answer: Answer = await self._submit(work)
        return answer

    def close(self) -> None:
        """Finish what waits, then end the thread. Takes as long as the disk takes."""
        self._waiting.put(None)
        self._thread.join()

    async def _submit(self, work: Any) -> Any:
        loop = asyncio.get_running_loop()
        job = _Job(work, loop, loop.create_future())
        try:
            self._waiting.put_nowait(job)
        except queue.Full:
            raise refuse(
                SessionCode.BUSY, f"{MAX_WAITING} writes in line", "fewer", retry_after_s=BUSY_RETRY_S
            ) from None
        try:
            return await job.future
        except TooScatteredError as error:
            raise refuse(SessionCode.SEQUENCE_SCATTERED, str(error), "numbers in order, in few epochs") from error
        except StoreError as error:
            raise refuse(
                SessionCode.STORE_FAILED, str(error), "a store that can be written", retry_after_s=BUSY_RETRY_S
            ) from error

    def _run(self) -> None:
        while (group := self._next_group()) is not None:
            batches = [job for job in group if isinstance(job.work, BatchToStore)]
            beats = [job for job in group if isinstance(job.work, tuple)]
            self._together(batches, self._store)
            self._together(beats, self._keep_heartbeats)
            for job in group:
                if callable(job.work):
                    self._alone(job, job.work)

    def _next_group(self) -> list[_Job] | None:
        """All that waits now, at least one; None once the end was asked for and all before it is done."""
        first = self._waiting.get()
        if first is None:
            return None
        group = [first]
        while len(group) < MAX_GROUP:
            try:
                job = self._waiting.get_nowait()
            except queue.Empty:
                break
            if job is None:
                self._waiting.put(None)
                break
            group.append(job)
        return group

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

    @staticmethod
    def _alone(job: _Job, work: Callable[[], Any]) -> None:
        try:
            job.settle(work())
        except RefusedError as error:
            job.settle(error=error)
        except Exception as error:  # whatever it was, the waiter must hear of it
            job.settle(error=error)

    def _store(self, jobs: list[_Job]) -> list[Stored]:
        return self._writer.store_batches([job.work for job in jobs if isinstance(job.work, BatchToStore)])

    def _keep_heartbeats(self, jobs: list[_Job]) -> list[None]:
        with self._control.transaction() as connection:
            for job in jobs:
                if isinstance(job.work, tuple):
                    heartbeats.record(connection, *job.work)
        return [None] * len(jobs)
