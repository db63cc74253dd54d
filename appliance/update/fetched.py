"""What the daemon hands over to the root's one-shot service: a bundle, and a ticket that says what it is for.

Rules of this file: the folder is the daemon's, so its reader believes nothing in it but sizes and forms; whether the
bundle is installed is decided anew. The ticket appears last and whole; systemd waits for it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import EnvironmentFault, OperatorError
from appliance.files import replace_file
from appliance.wire.fields import SessionError, dump_object, load_object

TICKET = "fetched.json"
BUNDLE = "fetched.bundle"
_MAX_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Fetched:
    """What the ticket says; without one (a file, a stick) there is no offer."""

    update_id: int = 0
    older: bool = False

    @staticmethod
    def bundle(folder: Path) -> Path:
        """The bundle's file."""
        return folder / BUNDLE

    @staticmethod
    def ticket(folder: Path) -> Path:
        """The ticket's file."""
        return folder / TICKET


def write_fetched(folder: Path, fetched: Fetched) -> None:
    """Hand over; the bundle is in its place already.

    Raises:
        EnvironmentFault: the folder cannot be written.
    """
    path = folder / TICKET
    try:
        replace_file(path, dump_object({"update_id": fetched.update_id, "older": int(fetched.older)}))
    except OSError as error:
        raise EnvironmentFault(f"{path}: {error.strerror}") from error


def read_fetched(folder: Path) -> Fetched:
    """Take over.

    Raises:
        OperatorError: nothing was handed over, or the ticket has another form.
    """
    try:
        descriptor = os.open(folder / TICKET, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            fields = load_object("ticket", file.read(_MAX_BYTES + 1), _MAX_BYTES)
        return Fetched(fields.integer("update_id"), bool(fields.integer("older", high=1)))
    except OSError as error:
        raise OperatorError(f"{folder / TICKET}: {error.strerror}", advice="Nothing was fetched.") from error
    except SessionError as error:
        raise OperatorError(str(error)) from error
