"""What can go wrong with a build, by whose fault.

Rules of this file: names and exit codes only. A message carries what came and what was allowed; `advice` says what to
do.
"""

from __future__ import annotations


class BuildError(Exception):
    """The base of everything that this package raises on purpose."""

    exit_code = 1

    def __init__(self, message: str, *, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice


class HostError(BuildError):
    """This machine cannot do it: not root, no mirror, a program is missing."""

    exit_code = 4


class SourceError(BuildError):
    """The archive's source is not the one that is pinned."""

    exit_code = 4


class StepError(BuildError):
    """A program of the build ended badly; the text ends with what it said."""


class ImageError(BuildError):
    """A flash image is not what its board can take."""
