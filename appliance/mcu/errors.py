"""What can go wrong with the supervisor, by name and with advice.

Rules of this file: every error that leaves `appliance.mcu` is one of these, or a `KeyFileError` about the link's key.
None of them ever keeps the sensor from watching: the daemon shows them and goes on.
"""

from __future__ import annotations

from appliance.errors import EnvironmentFault, OperatorError, PeerError


class PortError(EnvironmentFault):
    """The serial port to the supervisor cannot be used."""


class PortGoneError(PortError):
    """The port is not there, or went away."""


class PortBusyError(PortError):
    """Another program has the port."""


class NotPairedError(OperatorError):
    """This box and its supervisor have no key in common yet."""


class AlreadyPairedError(OperatorError):
    """There is a key already, here or in the supervisor; one key is made for a pair, once."""


class FirmwareFileError(OperatorError):
    """A file that is no firmware for this supervisor."""


class NoAnswerError(PeerError):
    """The supervisor does not answer, or not so that it can be believed."""


class OrderRefusedError(PeerError):
    """The supervisor said no; `why` is its word for the reason (`mcu_words.REFUSALS`)."""

    def __init__(self, message: str, *, advice: str = "", why: str = "") -> None:
        super().__init__(message, advice=advice)
        self.why = why


class UpgradeFailedError(PeerError):
    """The supervisor did not take a whole firmware."""
