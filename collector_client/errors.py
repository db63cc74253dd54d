"""Every error of the collector outside its store, split by whose fault it is.

Rules of this file: one base, one class per kind of fault. A message carries what came and what was allowed; `advice` is
the line the command line prints below it. Foreign exceptions never leave the package that met them.
"""

from __future__ import annotations


class CollectorError(Exception):
    """Base of what the collector raises on purpose; never raised itself."""

    exit_code = 1

    def __init__(self, message: str, *, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice


class OperatorError(CollectorError):
    """The operator's input (arguments, configuration, a folder) cannot be used as it is."""

    exit_code = 2


class EnvironmentFault(CollectorError):  # noqa: N818 - a fault of the environment is not an error of ours
    """The machine cannot do what was asked: port taken, permission denied, a child process that ended."""

    exit_code = 4
