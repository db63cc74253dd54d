"""Why a box could not be set up from a stick, by name.

Rules of this file: the stick's content and the wrong stick are the operator's, the medium is the environment's. What
the collector says of the token is `enroll.errors`.
"""

from __future__ import annotations

from appliance.errors import EnvironmentFault, OperatorError


class NoSetupFileError(OperatorError):
    """The stick holds no setup file."""


class SeveralSetupFilesError(OperatorError):
    """The stick holds more than one file that could be meant."""


class NotThatFileError(OperatorError):
    """What bears the file's name, or nearly, is no file to read: a link, a folder, another ending."""


class SetupFileInvalidError(OperatorError):
    """The file's text cannot be used as it is."""


class StickUsedError(OperatorError):
    """The file was used, by another box or by this one before it was reset."""


class EnrolledAlreadyError(OperatorError):
    """This box is a sensor already; the stick's token stays open."""


class BelongsElsewhereError(OperatorError):
    """This box was enrolled with another collector than the stick's."""


class NothingToSetUpError(OperatorError):
    """No stick, and none was taken in before."""


class StickGoneError(EnvironmentFault):
    """The stick is not there, or not any more."""


class StickReadOnlyError(EnvironmentFault):
    """The stick cannot be written."""


class StickFullError(EnvironmentFault):
    """The stick has no room for the remark that it was used."""


class StickChangedError(EnvironmentFault):
    """The file is not the one that was read: another stick, or somebody's hand."""
