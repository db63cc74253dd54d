"""Accepted events, kept on disk until the collector has stored them."""

from appliance.spool.errors import SpoolError, SpoolFullError, SpoolLockedError
from appliance.spool.losses import Loss
from appliance.spool.reader import Batch
from appliance.spool.store import Depth, Spool
from appliance.spool.verify import Report, verify

__all__ = ["Batch", "Depth", "Loss", "Report", "Spool", "SpoolError", "SpoolFullError", "SpoolLockedError", "verify"]
