"""Updates of the whole box: bundles, the two slots, and whether a start was good."""

from appliance.update.boot import begin_boot, boot_is_bad, boot_is_good, end_boot
from appliance.update.bundle import Bundle
from appliance.update.errors import BundleRefusedError, DiskFault, UpdateBusyError
from appliance.update.install import Box, Order, forget_fetched, install
from appliance.update.memory import Memory
from appliance.update.record import Record
from appliance.update.states import State
from appliance.update.trust import Standing, UpdateKeys

__all__ = [
    "Box",
    "Bundle",
    "BundleRefusedError",
    "DiskFault",
    "Memory",
    "Order",
    "Record",
    "Standing",
    "State",
    "UpdateBusyError",
    "UpdateKeys",
    "begin_boot",
    "boot_is_bad",
    "boot_is_good",
    "end_boot",
    "forget_fetched",
    "install",
]
