"""A sensor's newest heartbeat as lines with a judgement: what the sensors page shows, and what deserves colour.

Rules of this file: pure. A value that the heartbeat does not carry is None and shows as a dash; levels are `ok`,
`warn`, `bad`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from collector_client.analyst.present import count, duration, relative, size, spans
from collector_client.attest.levels import SECURE_ELEMENT
from collector_client.store.fleet import SensorRow

NS = 1_000_000_000
CERT_WARN_S = 7 * 86_400
DAYS_CERT_WARN_S = 4 * 3600
"""Of a certificate that lives a day (`wire/element.py`): its renewal was due more than an hour before that."""
BACKLOG_WARN_S = 600


@dataclass(frozen=True, slots=True)
class Line:
    """One value with its judgement."""

    text: str
    level: str = "ok"
    title: str = ""
    sub: str = ""


@dataclass(frozen=True, slots=True)
class SensorCard:
    """One sensor of the page."""

    row: SensorRow
    level: str
    spool: Line
    drops: Line
    gaps: Line
    certificate: Line
    refused: Line
    rules: Line
    host: list[tuple[str, Line]]
    findings: list[tuple[str, Line]]


_STATE_LEVEL = {
    "on time": "ok",
    "late": "warn",
    "lost": "bad",
    "quarantined": "bad",
    "revoked": "off",
    "never seen": "off",
}
_SEVERITY = {"ok": "ok", "warning": "warn", "critical": "bad"}
NONE = Line("\u2013", "off", "not reported yet")


def sensor_cards(rows: list[SensorRow], refused: dict[str, int], now_ns: int) -> list[SensorCard]:
    """The page's cards, in the rows' order."""
    return [_card(row, refused.get(row.sensor_id, 0), now_ns) for row in rows]


def _card(row: SensorRow, refused: int, now_ns: int) -> SensorCard:
    health = row.health
    return SensorCard(
        row=row,
        level=_STATE_LEVEL[row.state],
        spool=_spool(health.get("spool"), now_ns),
        drops=_drops(health.get("capture")),
        gaps=_gaps(row),
        certificate=_certificate(
            row.cert_not_after_ns, now_ns, DAYS_CERT_WARN_S if row.assurance == SECURE_ELEMENT else CERT_WARN_S
        ),
        refused=Line(
            f"{count(refused)} refused" if refused else "", "warn" if refused else "ok", "events kept in quarantine"
        ),
        rules=_rules(health.get("rules")),
        host=_host(health) + _supervisor(health.get("supervisor")),
        findings=[
            (item["check"], Line(item["text"], _SEVERITY[item["severity"]])) for item in health.get("findings", ())
        ],
    )


def _spool(spool: dict[str, Any] | None, now_ns: int) -> Line:
    if not spool:
        return NONE
    if not spool["events"]:
        return Line("empty")
    about, level = size(spool["bytes"]), "ok"
    oldest = spool.get("oldest_ts_ns")
    if oldest is not None:
        about += f", oldest {relative(oldest, now_ns)}"
        level = "warn" if (now_ns - oldest) / NS > BACKLOG_WARN_S else "ok"
    return Line(
        f"{count(spool['events'])} waiting", level, "events on the sensor's disk that no receipt covers yet", about
    )


def _drops(capture: dict[str, int] | None) -> Line:
    if not capture:
        return NONE
    dropped = {name: value for name, value in capture.items() if "drop" in name}
    total = sum(dropped.values())
    return Line(
        count(total), "warn" if total else "ok", ", ".join(f"{name} {value}" for name, value in dropped.items())
    )


def _gaps(row: SensorRow) -> Line:
    missing = sum(high - low + 1 for low, high in row.gaps)
    lost = sum(high - low + 1 for low, high in row.losses)
    if row.conflicts:
        return Line(
            f"{row.conflicts} conflicts",
            "bad",
            "another machine used this sensor's numbers: a clone or a restored disk",
        )
    if missing:
        return Line(
            f"{count(missing)} missing", "bad", "numbers that never came and that nobody explained", spans(row.gaps)
        )
    if lost:
        return Line(f"{count(lost)} lost", "warn", "the sensor said that it had to drop these", spans(row.losses))
    return Line("none")


def _certificate(not_after_ns: int | None, now_ns: int, warn_s: int) -> Line:
    if not_after_ns is None:
        return NONE
    left_s = (not_after_ns - now_ns) / NS
    if left_s <= 0:
        return Line(f"expired {relative(not_after_ns, now_ns)}", "bad")
    return Line(f"{duration(left_s)} left", "warn" if left_s < warn_s else "ok")


def _rules(rules: dict[str, Any] | None) -> Line:
    if not rules:
        return NONE
    text, refused = f"{count(rules['loaded'])} loaded", rules["refused"]
    return (
        Line(text, "warn", "rules that this engine cannot run", f"{count(refused)} refused") if refused else Line(text)
    )


def _host(health: dict[str, Any]) -> list[tuple[str, Line]]:
    host = health.get("host")
    if not host:
        return []
    out = [
        ("CPU", Line(f"{host['cpu_percent']:.0f} %", _above(host["cpu_percent"], 90, 1e9))),
        ("Memory", Line(f"{host['memory_percent']:.0f} %", _above(host["memory_percent"], 85, 95))),
        (
            "Disk",
            Line(
                f"{host['disk_percent']:.0f} %, {size(host['disk_free_bytes'])} free",
                _above(host["disk_percent"], 80, 95),
            ),
        ),
    ]
    if host.get("temperature_c") is not None:
        out.append(("Temperature", Line(f"{host['temperature_c']:.0f} °C", _above(host["temperature_c"], 75, 90))))
    skew = health.get("clock_skew_ms")
    if skew is not None:
        out.append(("Clock skew", Line(f"{skew} ms", _above(abs(skew), 1_000, 60_000))))
    started = health.get("started_ts_ns")
    if started is not None:
        out.append(("Up", Line(duration((health["sent_ts_ns"] - started) / NS))))
    versions = " / ".join(filter(None, (health.get("version"), health.get("engine_version"))))
    out.append(("Version", Line(versions or "\u2013")))
    return out


# Resets that somebody wanted, or that a mains cut explains; every other one means that the box stood still.
_CALM_RESETS = ("", "power-on", "asked", "button")


def _supervisor(supervisor: dict[str, Any] | None) -> list[tuple[str, Line]]:
    if not supervisor:
        return []
    state, reset = supervisor["state"], supervisor["last_reset"]
    lines = [("Supervisor", Line(state, {"up": "ok", "absent": "off"}.get(state, "warn")))]
    if reset:
        lines.append(("Last reset", Line(reset, "ok" if reset in _CALM_RESETS else "warn", "why the box last started")))
    if supervisor.get("temperature_c") is not None:
        degrees = supervisor["temperature_c"]
        lines.append(("Board", Line(f"{degrees:.0f} °C", _above(degrees, 70, 85))))
    if supervisor.get("voltage_mv") is not None:
        lines.append(("Supply", Line(f"{supervisor['voltage_mv'] / 1000:.2f} V")))
    return lines


def _above(value: float, warn: float, bad: float) -> str:
    return "bad" if value >= bad else "warn" if value >= warn else "ok"
