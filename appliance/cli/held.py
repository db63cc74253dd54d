"""A supervisor's board that does not judge while something long is done to the box.

Rules of this file: whatever is wrong with board, port, key or daemon is told and costs a few seconds, never the work;
a box without a board notices nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from appliance.cli.options import tell
from appliance.cli.reach import listening, state_dir
from appliance.config import load_config
from appliance.daemon.control import CONTROL_SOCKET, order
from appliance.errors import ApplianceError
from appliance.mcu.orders import hold

WITHIN_S = 20.0
"""For a daemon that hangs; one that is well answers at once, or says within half of this that the board does not."""


@contextmanager
def held(config_file: Path, seconds: int, reason: str) -> Iterator[None]:
    """Hold for as long as it lasts and so many seconds at most; `reason` is one of `mcu_words.HOLDS`."""
    beats = _ask(config_file, seconds, reason)
    try:
        yield
    finally:
        # A hold that is ended wants beats at once. Where nobody beats it runs out, and the time of a boot follows it.
        if beats:
            _ask(config_file, 0, reason)


def _ask(config_file: Path, seconds: int, reason: str) -> bool:
    """Whether who has the port, the daemon or `vedette supervisor wait`, has done it; else it is done directly."""
    request = {"do": "hold", "seconds": seconds, "reason": reason}
    beats = True
    try:
        config = load_config(config_file)
        port = config.supervisor.port
        if not port or not Path(port).exists():
            return False
        done = order(state_dir(config) / "run" / CONTROL_SOCKET, request, within_s=WITHIN_S)
        if done is None and seconds:
            beats = False
            supervisor, _ = listening(config)
            with closing(supervisor):
                done = {"granted_s": hold(supervisor.ask_here, seconds, reason)}
    except ApplianceError as error:
        tell(f"not held: {error}; it goes on all the same")
        return False
    granted_s = done["granted_s"] if done is not None else 0
    tell(f"supervisor: held for {granted_s} s" if granted_s else "supervisor: not held any more")
    return beats and bool(granted_s)
