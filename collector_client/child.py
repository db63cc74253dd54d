"""What the processes under `vedette-collector serve` share: arguments, readiness, the life line, errors.

Rules of this file: a child says `ready ADDRESS` on standard output, once; it ends in order when standard input ends
(its parent is gone, however it went) or on SIGTERM or SIGINT; errors go to standard error in words, with what to do.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable

from collector_client.errors import CollectorError, EnvironmentFault, OperatorError
from collector_client.store import NoStoreError, StoreError

READY = "ready "
Run = Callable[[Callable[[str], None], asyncio.Event], Awaitable[None]]


def child_arguments(name: str) -> argparse.Namespace:
    """DIR and `--listen HOST:PORT`."""
    parser = argparse.ArgumentParser(prog=f"python -m {name}", description="Started by vedette-collector serve.")
    parser.add_argument("directory", metavar="DIR")
    parser.add_argument("--listen", metavar="HOST:PORT", required=True)
    return parser.parse_args()


def run_child(run: Run) -> int:
    """Run a child's work; returns its exit code."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(name)s %(levelname)s %(message)s")
    try:
        asyncio.run(_run(run))
    except (CollectorError, StoreError) as error:
        return tell_error(error)
    return 0


async def _run(run: Run) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # the parent starts us with it blocked
    lifeline = sys.stdin.fileno()

    def parent_spoke() -> None:
        if not os.read(lifeline, 4096):
            loop.remove_reader(lifeline)
            stop.set()

    loop.add_reader(lifeline, parent_spoke)
    await run(lambda address: print(READY + address, flush=True), stop)


def exit_code_of(error: CollectorError | StoreError) -> int:
    """The exit code of an error; the store's are faults of the machine, but for a folder that has none."""
    if isinstance(error, CollectorError):
        return error.exit_code
    return OperatorError.exit_code if isinstance(error, NoStoreError) else EnvironmentFault.exit_code


def tell_error(error: CollectorError | StoreError) -> int:
    """An error and what to do about it, for a person; returns its exit code."""
    print(f"vedette-collector: {error}", file=sys.stderr)
    if error.advice:
        print(f"                   {error.advice}", file=sys.stderr)
    return exit_code_of(error)
