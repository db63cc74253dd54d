"""The marker of a reset that has begun: what was ordered and how far it got, in `reset.json` of the state folder.

Rules of this file: the marker is on disk before anything is removed and goes last, so a reset that lost its power is
carried on by whoever starts next. A marker that cannot be read was written all the same (it is put in place whole, so
the disk has rotted since): it stands for the stage at which everything is still to be removed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from appliance.errors import EnvironmentFault
from appliance.files import fsync_folder, replace_file

MARKER_NAME = "reset.json"
_MOST_BYTES = 4096


class Stage(Enum):
    """What is to be done next. TPM is left out unless it was ordered."""

    TPM = "tpm"
    FILES = "files"


@dataclass(frozen=True, slots=True)
class Marker:
    """`sensor_id` is empty where the box was none; `events_lost` is None where the spool could not be counted."""

    stage: Stage
    sensor_id: str = ""
    events_lost: int | None = 0
    tpm_cleared: bool = False


def read(state_dir: Path) -> Marker | None:
    """The marker, or None when no reset has begun."""
    try:
        with (state_dir / MARKER_NAME).open("rb") as file:
            fields = json.loads(file.read(_MOST_BYTES))
        return Marker(
            Stage(fields["stage"]), str(fields["sensor_id"]), fields["events_lost"], fields["tpm_cleared"] is True
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return Marker(Stage.FILES, events_lost=None)


def write(state_dir: Path, marker: Marker) -> None:
    """Put the marker in place, durably.

    Raises:
        EnvironmentFault: the folder cannot be written.
    """
    fields = {
        "stage": marker.stage.value,
        "sensor_id": marker.sensor_id,
        "events_lost": marker.events_lost,
        "tpm_cleared": marker.tpm_cleared,
    }
    try:
        replace_file(state_dir / MARKER_NAME, json.dumps(fields).encode())
    except OSError as error:
        raise fault(state_dir, error) from error


def remove(state_dir: Path) -> None:
    """The reset is over, durably.

    Raises:
        EnvironmentFault: the folder cannot be written.
    """
    try:
        (state_dir / MARKER_NAME).unlink(missing_ok=True)
        fsync_folder(state_dir)
    except OSError as error:
        raise fault(state_dir, error) from error


def fault(path: Path, error: OSError) -> EnvironmentFault:
    """The environment's no."""
    return EnvironmentFault(
        f"{path}: {error.strerror or error}",
        advice="check [sensor] state_dir, its owner and the disk; then reset again",
    )
