"""The supervisor: the microcontroller that hears our beats and takes the box's power away when they stop."""

from appliance.mcu.element import LinkElement
from appliance.mcu.errors import (
    FirmwareFileError,
    NoAnswerError,
    NotPairedError,
    OrderRefusedError,
    PortBusyError,
    PortError,
    PortGoneError,
    UpgradeFailedError,
)
from appliance.mcu.key import KeySource, link_key, make_link_key
from appliance.mcu.link import Link, State
from appliance.mcu.port import Port, SerialPort
from appliance.mcu.status import ABSENT, SupervisorStatus
from appliance.mcu.supervisor import Supervisor

__all__ = [
    "ABSENT",
    "FirmwareFileError",
    "KeySource",
    "Link",
    "LinkElement",
    "NoAnswerError",
    "NotPairedError",
    "OrderRefusedError",
    "Port",
    "PortBusyError",
    "PortError",
    "PortGoneError",
    "SerialPort",
    "State",
    "Supervisor",
    "SupervisorStatus",
    "UpgradeFailedError",
    "link_key",
    "make_link_key",
]
