"""What a check of `vedette doctor` says: one of four states, in words, with what to do.

Rules of this file: names and states are closed sets, because scripts read them (`--json`). Data only.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class CheckName(Enum):
    """Every check, in the order of asking; no name is ever used for another one."""

    LINK = "link"
    ADDRESS = "address"
    DNS = "dns"
    TCP = "tcp"
    PROXY = "proxy"
    TLS_CHAIN = "tls_chain"
    NAME = "name"
    CLOCK = "clock"
    TOKEN = "token"  # noqa: S105 - a name, not a secret
    KEY = "key"
    CERTIFICATE = "certificate"
    QUOTA = "quota"
    RULES = "rules"
    CAPTURE = "capture"
    DISK = "disk"
    SPOOL = "spool"
    SUPERVISOR = "supervisor"


class State(Enum):
    """`skipped`: there is nothing to check, or something that must come first has failed."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Result:
    """What one check found; `advice` is empty when nothing is to do."""

    state: State
    text: str
    advice: str = ""


def ok(text: str) -> Result:
    """All is well."""
    return Result(State.OK, text)


def failed(text: str, advice: str) -> Result:
    """The box cannot do its work."""
    return Result(State.FAILED, text, advice)


def skipped(text: str) -> Result:
    """Not asked."""
    return Result(State.SKIPPED, text)
