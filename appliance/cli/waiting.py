"""`vedette supervisor wait`: beats for a box on which no daemon runs yet, and what the board says for its console.

Rules of this file: it runs until it is ended, and no fault of port, key or socket ends it. A state is told when it has
lasted, because each greeting passes through several.
"""

from __future__ import annotations

import argparse
import contextlib
import secrets
import signal
import threading
from collections.abc import Callable
from pathlib import Path

from appliance.cli.options import tell
from appliance.cli.reach import keys_of, state_dir
from appliance.clock import SystemClock
from appliance.config import load_config
from appliance.daemon.control import CONTROL_SOCKET, ControlServer
from appliance.daemon.guard import key_source, supervisor_of
from appliance.errors import EnvironmentFault
from appliance.health import Liveness, Notifier, Watchdog
from appliance.mcu import SupervisorStatus
from appliance.wire import mcu_words as words

LOOP_OVERDUE_S = 30.0
LASTING_S = 5.0
FRESH_S = 30
"""A press that is told later than this was meant for something else: the board keeps its events over days."""


class Console:
    """States and events as lines of the box's console."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._told = ""

    def look(self, status: SupervisorStatus) -> None:
        """Tell a state that has lasted, once."""
        if status.state != self._told and status.in_state_s >= LASTING_S:
            self._told = status.state
            reset = f"; last reset: {status.last_reset}" if status.last_reset else ""
            self._say(f"VEDETTE supervisor: {status.state}: {status.says}{reset}")

    def event(self, text: str) -> None:
        """Tell an event."""
        self._say(f"VEDETTE supervisor: {text}")


def run_wait(args: argparse.Namespace) -> int:
    """Beat until told to end."""
    config, clock, stop = load_config(args.config), SystemClock(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    generation = secrets.randbits(32)
    console = Console(lambda line: print(line, flush=True))
    supervisor = supervisor_of(
        config,
        key_source(config, keys_of(config)),
        clock,
        # Nothing is at work yet, so nothing stands still; the last beat says that something else comes.
        lambda: (words.DRAINING if stop.is_set() else words.RUNNING, words.ALL_ALIVE, generation),
        pairs=config.supervisor.auto_pair,
        on_event=console.event,
        on_press=lambda age_s: note_press(args.pressed, age_s),
    )
    notifier, liveness = Notifier.from_environment(), Liveness(clock)
    alive = liveness.register("supervisor", within_s=LOOP_OVERDUE_S)
    watchdog = Watchdog(notifier, liveness)
    threading.Thread(target=watchdog.run, args=(threading.Event(),), name="watchdog", daemon=True).start()
    # What sets the box up may need the secure element, and the port is ours.
    control = None
    try:
        control = ControlServer(state_dir(config) / "run" / CONTROL_SOCKET, supervisor)
        control.start()
    except EnvironmentFault as error:
        tell(f"{error}; the box is kept alive, but nobody can use the secure element")
    notifier.ready("waiting to be set up")

    def beat() -> None:
        alive()
        console.look(supervisor.status())

    try:
        supervisor.run(stop, beat=beat)
    finally:
        if control is not None:
            control.close()
    return 0


def note_press(path: Path | None, age_s: int) -> None:
    """Leave word of a press for who waits for one; a folder that is not there costs nothing."""
    if path is not None and age_s <= FRESH_S:
        with contextlib.suppress(OSError):
            path.touch()
