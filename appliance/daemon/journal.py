"""Log lines with their severity for systemd's journal, or with a word for a terminal.

Rules of this file: formatting only. A line for the journal begins with `<N>` (sd-daemon(3)), every line of a traceback
too; without it all of the daemon's lines would be of one priority, and `journalctl -p warning` would show none. Whether
the stream is the journal, the environment says, and the file behind it proves (systemd.exec(5), JOURNAL_STREAM).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import TextIO

# Lowest severity that gets it -> syslog's number (RFC 5424, 6.2.1).
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.NOTSET, 7))


class JournalFormatter(logging.Formatter):
    """A record as the journal wants it."""

    def format(self, record: logging.LogRecord) -> str:
        """With the priority before each line."""
        number = next(number for level, number in _PRIORITIES if record.levelno >= level)
        return "\n".join(f"<{number}>{line}" for line in super().format(record).splitlines() or [""])


def log_handler(stream: TextIO, environment: Mapping[str, str]) -> logging.Handler:
    """The handler that suits what `stream` leads to."""
    handler = logging.StreamHandler(stream)
    plain = logging.Formatter("%(levelname)s %(message)s")
    handler.setFormatter(JournalFormatter("%(message)s") if _is_journal(stream, environment) else plain)
    return handler


def _is_journal(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """An inherited variable alone would be believed by a daemon whose output goes elsewhere."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environment.get("JOURNAL_STREAM", "") == f"{found.st_dev}:{found.st_ino}"
