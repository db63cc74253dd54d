"""Factory reset: from a sensor back to a box that waits for a token."""

from appliance.reset.reset import Done, NotConfirmedError, Order, UndeliveredError, finish, reset, undelivered

__all__ = ["Done", "NotConfirmedError", "Order", "UndeliveredError", "finish", "reset", "undelivered"]
