"""A link and a board in memory with a wire between them, on a clock of the test's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest

from appliance.mcu.link import Link
from appliance.mcu.order import Order
from appliance.wire import mcu_words as words
from tests.fakes.board import KEY, Board

HEALTHY = (words.RUNNING, words.ALL_ALIVE, 7)


@dataclass
class Line:
    """A link and a board with a wire between them that a test may bend."""

    board: Board = field(default_factory=Board)
    key: bytes | None = KEY
    health: tuple[int, int, int] | None = HEALTHY
    up: Callable[[bytes], bytes] = lambda data: data
    """From the board to us."""
    now_s: float = 100.0
    sent: bytes = b""
    events: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        numbers = count(1)
        self.link = Link(self.key, lambda size: next(numbers).to_bytes(size, "big"), self.now_s)

    def turn(self) -> None:
        """Both sides once."""
        health = self.health
        self.sent = self.link.send(self.now_s, None if health is None else lambda: health)
        self.events += self.link.receive(self.up(self.board.hear(self.sent)), self.now_s)

    def pass_s(self, seconds: float) -> None:
        """Time goes by in the link's own steps."""
        until_s = self.now_s + seconds
        for _ in range(10_000):
            self.turn()
            wait_s = max(self.link.wait_s(self.now_s), 0.01)
            if self.now_s + wait_s > until_s:
                break
            self.now_s += wait_s
        else:
            pytest.fail("it never waits")
        self.now_s = until_s

    def open(self) -> Line:
        self.link.opened(self.now_s)
        self.pass_s(2)
        return self

    def order(self, kind: int, *values: int | bytes, within_s: float = 10) -> Order:
        made = Order(kind, words.pack(kind, *values), self.now_s + within_s)
        self.link.submit(made)
        return made
