"""What the spool refuses, by name.

Rules of this file: every error that leaves the package is one of these; `OSError` never does.
"""

from __future__ import annotations

from appliance.errors import EnvironmentFault


class SpoolError(EnvironmentFault):
    """The spool cannot do what was asked; nothing that was accepted before is lost by it."""


class SpoolFullError(SpoolError):
    """The disk (not the byte budget, which drops the oldest) has no room; the events were not accepted."""


class SpoolLockedError(SpoolError):
    """Another process has the spool open."""
