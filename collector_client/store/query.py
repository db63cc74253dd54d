"""The analyst's questions, all of them: what the command line and the page ask the store, and nothing else.

Rules of this file: names only. Each question is a function over a `Reader` in the file of its noun; answers are frozen
rows, never database rows.
"""

from collector_client.store.alerts import AlertDetail, AlertRow, alert, alerts, neighbours
from collector_client.store.errors import NoSuchAlertError
from collector_client.store.filter import AlertFilter
from collector_client.store.fleet import SensorRow, Thresholds, refused_events, sensors, tenants
from collector_client.store.groups import (
    MAX_GROUPS,
    UNSTATED_PRIORITY,
    GroupRow,
    alert_groups,
    assurances,
    time_span,
    timeline,
    trends,
)

__all__ = [
    "MAX_GROUPS",
    "UNSTATED_PRIORITY",
    "AlertDetail",
    "AlertFilter",
    "AlertRow",
    "GroupRow",
    "NoSuchAlertError",
    "SensorRow",
    "Thresholds",
    "alert",
    "alert_groups",
    "alerts",
    "assurances",
    "neighbours",
    "refused_events",
    "sensors",
    "tenants",
    "time_span",
    "timeline",
    "trends",
]
