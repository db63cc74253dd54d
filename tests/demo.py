"""`make demo`: the main job of the product, end to end on this machine.

A collector on SQLite, a sensor enrolled by a one-time token, recorded traffic through the engine, the alerts as the
collector has stored them, and the page's address. On a terminal both stay up until Ctrl-C; elsewhere it ends with a
summary.
Exit 0 only when every event the sensor accepted is in the collector's store.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.table import Table

from tests.loop import ROOT, Loop, LoopError

FOLDER = ROOT / "demo-data"
PCAPS = ROOT / "tests" / "traffic" / "pcaps"


def main() -> int:
    """Run it; returns the exit code."""
    console = Console(highlight=False)
    try:
        if FOLDER.exists():
            shutil.rmtree(FOLDER)
        FOLDER.mkdir()
    except OSError as error:
        console.print(f"demo: {error.filename}: {error.strerror}\n      remove {FOLDER}", markup=False)
        return 1
    captures = sorted(PCAPS.glob("*.pcap"))
    loop = Loop(FOLDER, capture=f'files = {json.dumps([str(path) for path in captures])}\nwhen_done = "stay"')
    try:
        with step(console, "making a collector and enrolling a sensor with a one-time token"):
            loop.prepare()
        with step(console, f"{len(captures)} recorded captures through the engine, alerts to the collector"):
            loop.sensor.start()
            status = wait_until_delivered(loop)
        alerts = loop.alerts()
        show(console, loop, alerts)
        accepted = status["spool"]["accepted"]
        console.print(
            f"\n[bold]{accepted}[/] events accepted by the sensor,"
            f" [bold]{len(alerts)}[/] alerts in the collector's store."
            f"\nKey of this sensor: [yellow]{alerts[0]['assurance'] if alerts else 'unknown'}[/]"
            " (a file; a hardware key is what the product is made for)."
        )
        stay(console, loop)
    except LoopError as error:
        console.print(f"demo: {error}", markup=False)
        return 1
    except KeyboardInterrupt:
        console.print("demo: interrupted")
        return 130
    finally:
        console.print("ending collector and sensor")
        loop.close()
    return 0 if accepted == len(alerts) > 0 else 1


def stay(console: Console, loop: Loop) -> None:
    """On a terminal: keep both up until Ctrl-C.

    Raises:
        LoopError: the sensor ended by itself.
    """
    if not sys.stdout.isatty():
        console.print(f"The page was at {loop.page}; on a terminal it stays until Ctrl-C.")
        return
    console.print(f"The page: [bold]{loop.page}[/]\nCollector and sensor keep running; Ctrl-C ends them.")
    with suppress(KeyboardInterrupt):
        code = loop.sensor.wait(7 * 24 * 3600)
        raise LoopError(f"the sensor ended by itself (exit {code}):\n{loop.sensor.said()}")


@contextmanager
def step(console: Console, text: str) -> Iterator[None]:
    """Says what is going on: with a spinner on a terminal, as a line elsewhere."""
    if not console.is_terminal:
        console.print(f"demo: {text}")
        yield
        return
    with console.status(text):
        yield


def wait_until_delivered(loop: Loop, timeout_s: float = 120.0) -> dict[str, dict[str, int]]:
    """Ask the sensor until it has read everything and the collector has confirmed everything.

    Raises:
        LoopError: it does not get there.
    """
    give_up = time.monotonic() + timeout_s
    while time.monotonic() < give_up:
        status = loop.status()
        if status["capture"]["finished"] and status["spool"]["waiting"] == 0:
            return status
        time.sleep(0.2)
    raise LoopError(f"the sensor has not delivered everything after {timeout_s} s:\n{json.dumps(status, indent=1)}")


def show(console: Console, loop: Loop, alerts: list[dict[str, object]]) -> None:
    """The alerts grouped by signature, and the sensor as the collector sees it."""
    table = Table(title="Alerts in the collector's store", title_justify="left")
    for column in ("sid", "signature", "priority", "count"):
        table.add_column(column, justify="right" if column in ("priority", "count") else "left")
    groups = Counter((int(str(a["priority"])), int(str(a["sid"])), str(a["msg"])) for a in alerts)
    for (priority, sid, msg), count in sorted(groups.items()):
        table.add_row(str(sid), msg, str(priority), str(count))
    console.print(table)
    console.print()
    console.print(loop.collector_says("sensors", str(loop.collector_dir)).rstrip(), soft_wrap=True, markup=False)


if __name__ == "__main__":
    sys.exit(main())
