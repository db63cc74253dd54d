"""A box's first start: what the stick says, checked, kept, and used up by enrolling. Front door: `set_up`."""

from appliance.setup.errors import (
    BelongsElsewhereError,
    EnrolledAlreadyError,
    NoSetupFileError,
    NothingToSetUpError,
    NotThatFileError,
    SetupFileInvalidError,
    SeveralSetupFilesError,
    StickChangedError,
    StickFullError,
    StickGoneError,
    StickReadOnlyError,
    StickUsedError,
)
from appliance.setup.network import NETWORK_NAME
from appliance.setup.run import Box, Outcome, set_up
from appliance.setup.stick import StickFile, read_stick

__all__ = [
    "NETWORK_NAME",
    "BelongsElsewhereError",
    "Box",
    "EnrolledAlreadyError",
    "NoSetupFileError",
    "NotThatFileError",
    "NothingToSetUpError",
    "Outcome",
    "SetupFileInvalidError",
    "SeveralSetupFilesError",
    "StickChangedError",
    "StickFile",
    "StickFullError",
    "StickGoneError",
    "StickReadOnlyError",
    "StickUsedError",
    "read_stick",
    "set_up",
]
