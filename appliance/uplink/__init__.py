"""The one way out: events and health to the collector, receipts back to the spool."""

from appliance.uplink.backoff import Backoff
from appliance.uplink.pump import Pump, State
from appliance.uplink.transport import Transport
from appliance.uplink.uplink import Uplink, UplinkStatus

__all__ = ["Backoff", "Pump", "State", "Transport", "Uplink", "UplinkStatus"]
