"""Whether the sensor is alive: by these signs systemd's watchdog is fed and the supervisor hears beats."""

from appliance.health.alive.capture import capture
from appliance.health.alive.engine import engine
from appliance.health.alive.sign import Part, Sign, Still, Vitals
from appliance.health.alive.spool import spool
from appliance.health.alive.uplink import uplink

SIGNS = (capture, engine, spool, uplink)

__all__ = ["SIGNS", "Part", "Sign", "Still", "Vitals"]
