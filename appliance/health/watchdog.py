"""Tells systemd that the daemon is ready and alive (sd_notify(3)), and stays silent when a part of it has stopped.

Rules of this file: WATCHDOG=1 is only ever sent when every registered part has shown itself lately and every sign of
life (`alive/`) is good. A part that waits must say so often; a part that hangs makes systemd restart the daemon, which
costs nothing that was accepted.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterable, Mapping

from appliance.clock import Clock
from appliance.errors import EnvironmentFault
from appliance.health.alive import Sign, Still


class NotifyError(EnvironmentFault):
    """The notify socket of the environment cannot be used."""


class Notifier:
    """The datagram socket of the service manager; without one, nothing is sent."""

    def __init__(self, address: str = "", watchdog_s: float | None = None) -> None:
        """`address` is a path, or begins with `@` for the abstract namespace; `watchdog_s` is systemd's patience."""
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog_s = watchdog_s

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ, *, pid: int | None = None) -> Notifier:
        """From NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID.

        Raises:
            NotifyError: NOTIFY_SOCKET is neither a path nor an abstract name, or WATCHDOG_USEC is no number.
        """
        address = environment.get("NOTIFY_SOCKET", "")
        if address and (address[0] not in "/@" or len(address) < 2):
            raise NotifyError(f"NOTIFY_SOCKET is {address!r}, a path or an abstract name (@...) was allowed")
        watchdog_s = None
        usec, for_pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
        if usec and (not for_pid or for_pid == str(os.getpid() if pid is None else pid)):
            if not usec.isascii() or not usec.isdigit() or int(usec) == 0:
                raise NotifyError(f"WATCHDOG_USEC is {usec!r}, a number of microseconds was allowed")
            watchdog_s = int(usec) / 1_000_000
        return cls(address, watchdog_s)

    def send(self, *lines: str) -> bool:
        """Send one message of lines such as READY=1; False when nobody listens. A manager that is gone is no error."""
        if not self._address:
            return False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                # A manager that does not read must not hang us.
                sock.setblocking(False)
                sock.sendto("\n".join(lines).encode(), self._address)
        except OSError:
            return False
        return True

    def ready(self, status: str) -> bool:
        """The daemon does its work now."""
        return self.send("READY=1", f"STATUS={status}")

    def stopping(self) -> bool:
        """The daemon is going down on purpose."""
        return self.send("STOPPING=1")


class Liveness:
    """Which parts have shown themselves lately."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._parts: dict[str, tuple[float, float]] = {}

    def register(self, name: str, *, within_s: float) -> Callable[[], None]:
        """A new part that will call the returned function at least every `within_s` seconds."""

        def beat() -> None:
            with self._lock:
                if name in self._parts:
                    self._parts[name] = (self._clock.monotonic_s(), within_s)

        with self._lock:
            self._parts[name] = (self._clock.monotonic_s(), within_s)
        return beat

    def retire(self, name: str) -> None:
        """The part has ended as it should."""
        with self._lock:
            self._parts.pop(name, None)

    def still(self, name: str) -> Still | None:
        """How long a part has not shown itself; None when it has ended, or is not there yet."""
        now_s = self._clock.monotonic_s()
        with self._lock:
            part = self._parts.get(name)
        return None if part is None else Still(now_s - part[0], part[1])

    def stale(self) -> list[str]:
        """The parts that are overdue."""
        now_s = self._clock.monotonic_s()
        with self._lock:
            return sorted(name for name, (seen_s, within_s) in self._parts.items() if now_s - seen_s > within_s)


class Watchdog:
    """Feeds systemd at a third of its patience, only while nothing is stale and every sign is good."""

    def __init__(
        self,
        notifier: Notifier,
        liveness: Liveness,
        *,
        signs: Callable[[], Iterable[Sign]] = lambda: (),
        on_stale: Callable[[list[str]], None] = lambda _: None,
    ) -> None:
        self._notifier = notifier
        self._liveness = liveness
        self._signs = signs
        self._on_stale = on_stale

    @property
    def interval_s(self) -> float:
        """How often `tick` is to be called."""
        patience_s = self._notifier.watchdog_s
        return 10.0 if patience_s is None else max(patience_s / 3, 0.05)

    def tick(self) -> bool:
        """Feed once if all is alive; whether it was."""
        stale = self._liveness.stale() + [f"{s.part.value} ({s.text})" for s in self._signs() if not s.alive]
        if stale:
            self._notifier.send(f"STATUS=stopped: {', '.join(stale)}")
            self._on_stale(stale)
            return False
        if self._notifier.watchdog_s is not None:
            self._notifier.send("WATCHDOG=1")
        return True

    def run(self, stop: threading.Event) -> None:
        """The body of the watchdog's thread."""
        while not stop.wait(self.interval_s):
            self.tick()
