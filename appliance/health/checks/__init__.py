"""Every check, in the order in which a person would look: ways out, time, room, sight, starts, updates, the guard."""

from appliance.health.checks.capture_drops import capture_drops
from appliance.health.checks.certificate_expiry import certificate_expiry
from appliance.health.checks.clock_skew import clock_skew
from appliance.health.checks.disk_space import disk_space
from appliance.health.checks.spool_backlog import spool_backlog
from appliance.health.checks.start import start
from appliance.health.checks.supervisor import supervisor
from appliance.health.checks.update import update
from appliance.health.checks.uplink import uplink

CHECKS = (
    uplink,
    certificate_expiry,
    clock_skew,
    disk_space,
    spool_backlog,
    capture_drops,
    start,
    update,
    supervisor,
)

__all__ = ["CHECKS"]
