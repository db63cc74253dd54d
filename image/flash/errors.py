"""What can go wrong when a stick is written, by whose fault.

Rules of this file: names and exit codes only. A message carries what came and what was allowed; `advice` says what to
do. Python 3.9 runs everything in this package, so that what macOS and older systems bring is enough.
"""

from __future__ import annotations


class FlashError(Exception):
    """The base of everything that this package raises on purpose."""

    exit_code = 1

    def __init__(self, message: str, *, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice


class UsageError(FlashError):
    """The arguments do not make sense together."""

    exit_code = 2


class DiskRefusedError(FlashError):
    """The disk is none that may be overwritten."""

    exit_code = 2


class ImageRefusedError(FlashError):
    """The image is damaged, another one than its sum says, or no stick's image."""

    exit_code = 2


class SettingsRefusedError(FlashError):
    """The settings cannot be used by a box, or do not fit on the stick."""

    exit_code = 2


class NotConfirmedError(FlashError):
    """Whoever was asked did not say yes; nothing was written."""


class StickDiffersError(FlashError):
    """What the stick gives back is not what was written to it."""


class HostError(FlashError):
    """This computer cannot do it: a right or a program is missing."""

    exit_code = 4


class StickFault(FlashError):  # noqa: N818 - a fault of the medium is no error of ours
    """The stick stopped taking or giving data: pulled, full, write-protected or broken."""

    exit_code = 4
