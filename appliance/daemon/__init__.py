"""`vedette run`: `Daemon` is the running sensor, `ask_status` asks one from outside, `log_handler` is where it logs."""

from appliance.daemon.element import ReachedElement
from appliance.daemon.graph import identity_folder
from appliance.daemon.journal import log_handler
from appliance.daemon.run import Daemon
from appliance.daemon.status import ask_status

__all__ = ["Daemon", "ReachedElement", "ask_status", "identity_folder", "log_handler"]
