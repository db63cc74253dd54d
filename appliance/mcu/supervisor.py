"""The loop that keeps the link: opens the port, opens it again when it vanished, sends what is due, takes what comes.

Rules of this file: the thin neighbour of `link.py` with a port in its hand. `run` is the body of one thread; `status`
and `ask` may be called from any. Whatever port and supervisor do costs bounded time, and never the sensor its work.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

from appliance.clock import Clock
from appliance.identity import KeyFileError
from appliance.mcu.errors import NoAnswerError, PortError, PortGoneError
from appliance.mcu.link import MEANING, Link, State
from appliance.mcu.order import NAMES, PATIENCE_S, Order
from appliance.mcu.pairing import Pairing
from appliance.mcu.port import Port
from appliance.mcu.ration import Ration
from appliance.mcu.status import SupervisorStatus, describe
from appliance.wire import mcu_words as words

REOPEN_S = 2.0
KEY_AGAIN_S = 20.0
"""A TPM that did not answer is asked again, not stormed; less than the daemon's patience with this loop."""
BUSY_POLL_S = 0.01
BUSY_S = 2.0
"""After an order, the next one probably follows at once, as the blocks of a firmware do."""
BYTES_PER_S = 32_768
"""Three times what the line carries at its usual speed: more is noise, and is read no faster."""
READS_PER_S = 300
"""Of the blocks of a firmware there are fewer; a line that is not connected may give noise octet by octet."""
DRIBBLE_S = 0.01
TOLD_PER_MINUTE = 60
"""Events and changes of state that are told; more are acknowledged and shown as the last, because no log is endless."""
ORDER_S = 10.0
ENROLL = "button-enroll"

Health = Callable[[], tuple[int, int, int]]
"""A beat's phase, its bits of health, and the generation of who beats."""


class Supervisor:
    """One port and what is at its other end."""

    def __init__(
        self,
        name: str,
        open_port: Callable[[], Port],
        link: Link,
        clock: Clock,
        *,
        key: Callable[[], bytes | None] | None = None,
        health: Health | None = None,
        pairs: bool = False,
        on_event: Callable[[str], None] = lambda _: None,
        on_state: Callable[[SupervisorStatus], None] = lambda _: None,
        on_press: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`name` is the port's for people. `key` gives the link's key when a port is open; None: the link has it.

        Without `health` nobody beats here: orders only. `pairs`: a board without a key is given this box's.
        `on_press` gets how many seconds ago the button was held for three seconds (enroll).
        """
        self._name = name
        self._open_port = open_port
        self._link = link
        self._clock = clock
        self._key = key
        self._health = health
        self._pairing = Pairing() if pairs else None
        self._on_event = on_event
        self._on_state = on_state
        self._on_press = on_press
        self._port: Port | None = None
        self._orders: queue.SimpleQueue[Order] = queue.SimpleQueue()
        self._pause = threading.Event()
        now_s = clock.monotonic_s()
        self._busy_until_s = now_s
        self._bytes = Ration(BYTES_PER_S, 1.0, now_s)
        self._reads = Ration(READS_PER_S, 1.0, now_s)
        self._telling = Ration(TOLD_PER_MINUTE, 60.0, now_s)
        self._last_event = ""
        self._status = describe(link, now_s, port=name)

    def run(self, stop: threading.Event, *, beat: Callable[[], None] = lambda: None) -> None:
        """Work until `stop` is set; `beat` is called at every turn, for the watchdog."""
        self._pause = stop
        try:
            while not stop.is_set():
                beat()
                self.turn()
            # One more: what is to be said at the end (that the host drains) is said.
            self.say_last()
        finally:
            self.close()

    def turn(self) -> None:
        """Send what is due, then wait for something to come, a second at most."""
        now_s = self._clock.monotonic_s()
        while not self._orders.empty():
            self._link.submit(self._orders.get())
            self._busy_until_s = now_s + BUSY_S
        try:
            if self._port is None:
                self._open(now_s)
            if self._port is not None:
                self._exchange(self._port)
                if self._pairing is not None and (said := self._pairing.step(self._link, self._clock.monotonic_s())):
                    self._on_event(said)
        except PortError as error:
            self._lose(error)
        self._look()

    def say_last(self) -> None:
        """A last beat, if there is a session."""
        if self._port is not None and self._health is not None and self._link.state is State.UP:
            try:
                self._port.write(self._link.beat_now(self._health))
            except PortError as error:
                self._lose(error)

    def status(self) -> SupervisorStatus:
        """How it stands, as of the last turn."""
        return self._status

    def ask(self, kind: int, *values: int | bytes, within_s: float = ORDER_S, patience_s: float = PATIENCE_S) -> Any:
        """Have something done, and wait for the answer.

        For any thread but the loop's own.

        Raises:
            OrderRefusedError: the supervisor said no.
            NoAnswerError: nothing came in time.
        """
        done = threading.Event()
        order = self._order(kind, values, within_s, patience_s, done.set)
        # The loop gives the order up by its own clock; this is for a loop that has ended.
        if not done.wait(within_s + 5.0):
            raise NoAnswerError(f"supervisor: no answer to {NAMES[kind]}; {MEANING[self._link.state]}")
        return self._result(order)

    def ask_here(
        self, kind: int, *values: int | bytes, within_s: float = ORDER_S, patience_s: float = PATIENCE_S
    ) -> Any:
        """As `ask`, where nobody else runs the loop: it is turned until the answer is there."""
        order = self._order(kind, values, within_s, patience_s, lambda: None)
        while order.outcome is None and order.failure is None:
            self.turn()
        return self._result(order)

    def settle(self, within_s: float) -> SupervisorStatus:
        """Turn the loop until it is known who is there, if anybody; where nobody else runs it."""
        until_s = self._clock.monotonic_s() + within_s
        while self._clock.monotonic_s() < until_s:
            self.turn()
            if self._link.is_settled:
                break
        return self._status

    def open(self) -> None:
        """Open the port now, where nobody runs the loop.

        Raises:
            PortError: it cannot be used.
            KeyFileError: the link's key cannot.
        """
        port = self._open_port()
        try:
            # Only now: a box without a board has no need to ask its TPM.
            if self._key is not None:
                self._link.use_key(self._key())
        except KeyFileError:
            port.close()
            raise
        self._port = port
        self._link.opened(self._clock.monotonic_s())

    def close(self) -> None:
        """Give the port back, where nobody runs the loop."""
        if self._port is not None:
            self._port.close()
            self._port = None

    def _order(
        self, kind: int, values: tuple[int | bytes, ...], within_s: float, patience_s: float, done: Callable[[], None]
    ) -> Order:
        order = Order(kind, words.pack(kind, *values), self._clock.monotonic_s() + within_s, patience_s, on_done=done)
        self._orders.put(order)
        return order

    @staticmethod
    def _result(order: Order) -> Any:
        if order.failure is not None:
            raise order.failure
        return order.outcome

    def _open(self, now_s: float) -> None:
        try:
            self.open()
        except (PortError, KeyFileError) as error:
            self._link.gone(now_s, str(error), is_fault=not isinstance(error, PortGoneError))
            self._look()
            self._pause.wait(REOPEN_S if isinstance(error, PortError) else KEY_AGAIN_S)

    def _exchange(self, port: Port) -> None:
        now_s = self._clock.monotonic_s()
        out = self._link.send(now_s, self._health)
        if out:
            port.write(out)
        too_much_s = self._bytes.wait_s(now_s)
        if too_much_s or self._reads.wait_s(now_s):
            self._pause.wait(too_much_s or DRIBBLE_S)
            if too_much_s:
                return
        wait_s = self._link.wait_s(now_s)
        data = port.read(min(wait_s, BUSY_POLL_S) if now_s < self._busy_until_s else wait_s)
        now_s = self._clock.monotonic_s()
        if data:
            self._bytes.take(len(data), now_s)
            self._reads.take(1, now_s)
        for event in self._link.receive(data, now_s):
            self._last_event = words.EVENTS[event.what]
            if self._last_event == ENROLL:
                self._on_press(event.age_s)
            if self._telling.take(1, now_s):
                self._on_event(f"{self._last_event} (detail {event.detail}, {event.age_s} s ago)")

    def _lose(self, error: PortError) -> None:
        if self._port is not None:
            self._port.close()
            self._port = None
        self._link.gone(self._clock.monotonic_s(), str(error))

    def _look(self) -> None:
        before, now_s = self._status.state, self._clock.monotonic_s()
        self._status = describe(self._link, now_s, port=self._name, last_event=self._last_event)
        if self._status.state != before and self._telling.take(1, now_s):
            self._on_state(self._status)
