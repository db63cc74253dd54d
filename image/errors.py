"""What can go wrong with an image, by whose fault.

Rules of this file: names and exit codes only. A message carries what came and what was allowed; `advice` says what to
do.
"""

from __future__ import annotations


class ImageError(Exception):
    """The base of everything that this package raises on purpose."""

    exit_code = 1

    def __init__(self, message: str, *, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice


class HostError(ImageError):
    """This machine cannot do it: not root, no mirror, a program is missing."""

    exit_code = 4


class InputError(ImageError):
    """What was given cannot be used: a list, a key, an option."""

    exit_code = 2


class StepError(ImageError):
    """A program of the build ended badly; the text ends with what it said."""


class DrillError(ImageError):
    """A machine under test did not do what it must do; the text ends with its console."""
