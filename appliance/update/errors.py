"""What goes wrong with an update, by whose fault.

Rules of this file: leaves only. Whatever is wrong with a bundle is the one `BundleRefusedError`; nothing of the system
that runs was changed by then.
"""

from __future__ import annotations

from appliance.errors import EnvironmentFault, OperatorError


class BundleRefusedError(OperatorError):
    """The bundle is not installed: not whole, not signed by a key of ours, too old, not for this box."""


class UpdateBusyError(EnvironmentFault):
    """Another update is being written, or waits for its restart."""


class DiskFault(EnvironmentFault):
    """The box's disk has not the two slots that an update needs, or cannot be written."""
