"""`make demo`: the main job of the product, end to end on this machine.

A collector on SQLite, a sensor enrolled by a one-time token with its key in a TPM (swtpm, a TPM that is a program),
recorded traffic through the engine, the alerts as the collector has stored them, and the page's address. Where this
machine has no TPM to offer, the key is in a file, and that is said before and after. On a terminal both stay up until
Ctrl-C; elsewhere it ends with a summary.

    python -m tests.demo [FOLDER]

Exit 0 only when every event the sensor accepted is in the collector's store.
"""

from __future__ import annotations

import json
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.fakes.swtpm import Swtpm, SwtpmError, fresh, lacking
from tests.loop import ROOT, Loop, LoopError

FOLDER = ROOT / "demo-data"
PCAPS = ROOT / "tests" / "traffic" / "pcaps"


def main(folder: Path) -> int:
    """Run it in a folder that is made anew; returns the exit code."""
    console = Console(highlight=False)
    with ExitStack() as power:
        try:
            # Blocked by whoever started us, so that a Ctrl-C before this line ends here too, and not in an import.
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
            if folder.exists():
                shutil.rmtree(folder)
            folder.mkdir()
            tpm, why_not = power_on(console, power, folder)
            return run(console, folder, tpm, why_not)
        except OSError as error:
            console.print(f"demo: {error.filename}: {error.strerror}\n      remove {folder}", markup=False)
            return 1
        except LoopError as error:
            console.print(f"demo: {error}", markup=False)
            return 1
        except KeyboardInterrupt:
            console.print("demo: interrupted")
            return 130


def power_on(console: Console, power: ExitStack, folder: Path) -> tuple[Swtpm | None, str]:
    """The sensor's TPM, running until `power` ends; or none, and why."""
    why_not = lacking()
    if not why_not:
        try:
            with step(console, "making a TPM for the sensor (swtpm)"):
                return power.enter_context(fresh(folder / "tpm", serial="demo-sensor")), ""
        except SwtpmError as error:
            why_not = str(error)
    warn(console, why_not)
    return None, why_not


def warn(console: Console, why_not: str) -> None:
    """The one thing about a run without a TPM that nobody may miss."""
    console.print(
        "[bold white on red] NO TPM: THE KEY OF THIS SENSOR IS IN A FILE, AND WHO COPIES THE FILE IS THE SENSOR. [/]",
        soft_wrap=True,
    )
    console.print(f"Not here: {why_not}. As root, make demo installs what it needs.", markup=False, soft_wrap=True)


def run(console: Console, folder: Path, tpm: Swtpm | None, why_not: str) -> int:
    """The loop from token to alert; returns the exit code.

    Raises:
        LoopError: a part of it failed.
    """
    captures = sorted(PCAPS.glob("*.pcap"))
    capture = f'files = {json.dumps([str(path) for path in captures])}\nwhen_done = "stay"'
    loop = Loop(folder, capture=capture, tpm=tpm)
    try:
        where = "in the TPM" if tpm else "in a file"
        with step(console, f"making a collector, enrolling a sensor with a token, key {where}"):
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
        )
        show_key(console, str(alerts[0]["assurance"]) if alerts else "unknown", tpm)
        if tpm is None:
            warn(console, why_not)
        stay(console, loop)
    finally:
        console.print("ending collector and sensor")
        loop.close()
    return 0 if accepted == len(alerts) > 0 else 1


def show_key(console: Console, assurance: str, tpm: Swtpm | None) -> None:
    """Where the key is and why the collector thinks of it what it does."""
    if tpm is None:
        console.print(f"Key of this sensor: a file; assurance [yellow]{assurance}[/].")
        return
    console.print(
        "Key of this sensor: P-256, made in a TPM and never out of it; key.pem holds what only that TPM can load."
        f"\nIts assurance is [yellow]{assurance}[/], because this TPM is a program (swtpm), and the CA that vouches"
        "\nfor it is one for development: this collector lists it in pki/tpm-roots-development. A TPM whose maker is in"
        "\npki/tpm-roots gets the assurance [green]tpm[/] by the same proof.",
        soft_wrap=True,
    )


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
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER))
