"""The spool against a list: any sequence of appends, reads, receipts, restarts, lost tails, on a budget too small.

The model is what a person would say: every accepted event is stored at the collector, waits, or is lost by name; what
is read comes in order and is what was written.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from appliance.spool import Spool
from tests.fakes.clock import FakeClock

MAX_BYTES = 16_384


class SpoolMachine(RuleBasedStateMachine):
    """Epochs never change here: losing the note of what was accepted is another test's attack."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="spool-model-"))
        self.written: dict[int, bytes] = {}
        self.stored_to = 0
        self.answered_losses: set[int] = set()
        self.marked_at: int | None = None
        self.cut = False
        self.spool = self.opened()

    def opened(self) -> Spool:
        return Spool.open(
            self.folder,
            max_bytes=MAX_BYTES,
            segment_bytes=4096,
            clock=FakeClock(),
            random_epoch=lambda: 5,
            fsync=False,
        )

    def teardown(self) -> None:
        self.spool.close()
        shutil.rmtree(self.folder)

    @rule(sizes=st.lists(st.integers(0, 1500), min_size=1, max_size=4))
    def append(self, sizes: list[int]) -> None:
        made: dict[int, bytes] = {}

        def render_with(size: int) -> tuple[int, object]:
            def render(epoch: int, seq: int) -> bytes:
                made[seq] = f"<{epoch}.{seq}>".encode() + b"." * size
                return made[seq]

            return 1, render

        numbers = self.spool.append([render_with(size) for size in sizes])
        assert numbers == sorted(made)
        assert not set(numbers) & set(self.written), "a number came twice"
        self.written |= made

    @rule(events=st.integers(1, 8), size=st.integers(1, 5000), part=st.floats(0, 1))
    def deliver(self, events: int, size: int, part: float) -> None:
        batch = self.spool.read(self.spool.cursor, events, size)
        if not batch.fragments:
            return
        lost = {seq for loss in batch.losses for seq in range(loss.first_seq, loss.last_seq + 1)}
        numbers = [seq for seq in range(batch.first_seq, batch.last_seq + 1) if seq not in lost]
        assert batch.fragments == [self.written[seq] for seq in numbers]
        assert set(range(self.stored_to + 1, batch.first_seq)) <= lost, "skipped without a word"
        stored_to = batch.first_seq + int((batch.last_seq - batch.first_seq) * part)
        self.spool.acknowledge(batch.epoch, stored_to)
        self.answered_losses |= {seq for seq in lost if seq <= stored_to}
        self.stored_to = max(self.stored_to, stored_to)

    @rule()
    def restart(self) -> None:
        self.spool.close()
        self.spool = self.opened()
        assert self.cut or not self.spool.notes

    @precondition(lambda self: any(self.folder.glob("*.seg")))
    @rule(cut=st.integers(1, 400))
    def lose_a_tail(self, cut: int) -> None:
        self.spool.close()
        self.cut = True
        newest = max(self.folder.glob("*.seg"))
        data = newest.read_bytes()
        newest.write_bytes(data[: max(0, len(data) - cut)])
        self.spool = self.opened()

    @rule()
    def mark(self) -> None:
        count = self.spool.source_mark("the capture")
        if self.marked_at is None:
            assert count == 0
            self.marked_at = self.spool.accepted
        assert count == self.spool.accepted - self.marked_at

    @invariant()
    def every_event_is_stored_waits_or_is_lost_by_name(self) -> None:
        lost = {seq for loss in self.spool.losses for seq in range(loss.first_seq, loss.last_seq + 1)}
        assert self.spool.cursor == self.stored_to
        assert all(seq > self.stored_to for seq in lost)
        waiting = self.spool.next_seq - 1 - self.stored_to - len(lost)
        assert self.spool.depth().events == waiting
        assert self.spool.next_seq > max(self.written, default=0)
        assert self.spool.lost_events >= len(lost | self.answered_losses)

    @invariant()
    def the_budget_is_kept(self) -> None:
        assert sum(path.stat().st_size for path in self.folder.glob("*.seg")) <= MAX_BYTES


TestSpoolModel = SpoolMachine.TestCase
TestSpoolModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
