"""Every error of the appliance, split by whose fault it is.

Rules of this file: one base, one class per kind of fault, leaves are named for the refusal and live beside their noun.
A message carries what came and what was allowed; `advice` is the line the command line prints below it.
"""

from __future__ import annotations


class ApplianceError(Exception):
    """Base of everything the appliance raises on purpose; never raised itself."""

    exit_code = 1

    def __init__(self, message: str, *, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice


class OperatorError(ApplianceError):
    """The operator's input (configuration, arguments, a rule file) cannot be used as it is."""

    exit_code = 2


class PeerError(ApplianceError):
    """The other side (the collector, a proxy) broke the protocol or refused us."""

    exit_code = 3


class EnvironmentFault(ApplianceError):
    """The machine cannot do what was asked: disk full, device missing, permission denied."""

    exit_code = 4
