"""The ingest process, made to kill itself (SIGKILL) at one chosen instant: `... MOMENT DIR --listen HOST:PORT`.

MOMENT: `before-commit` (the batch is parsed, nothing is written), `between-commits` (the month's file has it,
control.db has not), `after-commit` (both have it, nothing is answered), `after-enroll` (the record is on disk,
nothing is answered), `transaction-N` (so does the N-th transaction of control.db, whatever asked for it).
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

from collector_client.ingest.__main__ import main
from collector_client.ingest.enrollment import Enrollment
from collector_client.store import Control, Writer


def die(*_: object) -> Any:
    """As a power cut would, as far as a process can tell."""
    os.kill(os.getpid(), signal.SIGKILL)


def then_die(work: Any) -> Any:
    """Do it, then die before anybody hears of it."""

    def wrapped(*args: Any) -> Any:
        work(*args)
        die()

    return wrapped


def die_after_transaction(number: int) -> None:
    """Of this process's transactions, let the first `number` happen."""
    transaction, left = Control.transaction, number

    @contextlib.contextmanager
    def counted(control: Control) -> Iterator[Any]:
        nonlocal left
        with transaction(control) as connection:
            yield connection
        left -= 1
        if left == 0:
            die()

    Control.transaction = counted  # type: ignore[method-assign,assignment]


moment = sys.argv.pop(1)
if moment == "before-commit":
    Writer.store_batches = die  # type: ignore[method-assign]
elif moment == "between-commits":
    Writer._commit_control = die  # type: ignore[method-assign]
elif moment == "after-commit":
    Writer.store_batches = then_die(Writer.store_batches)  # type: ignore[method-assign]
elif moment == "after-enroll":
    Enrollment.enroll = then_die(Enrollment.enroll)  # type: ignore[method-assign]
elif moment.startswith("transaction-"):
    die_after_transaction(int(moment.rpartition("-")[2]))
sys.exit(main())
