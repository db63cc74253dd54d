"""What the daemon says of itself: one dictionary for the status socket, from the same parts that the heartbeat asks.

Rules of this file: it asks and arranges; it judges nothing (that is `health`).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import vedette_engine

from appliance import __version__
from appliance.daemon.graph import Parts
from appliance.engine.ruleset import refusal_summary
from appliance.errors import ApplianceError
from appliance.mcu import SupervisorStatus


def status(parts: Parts, generation: int) -> dict[str, Any]:
    """The status as JSON will carry it; nested dictionaries of plain values."""
    uplink = parts.uplink.status()
    facts, findings = parts.monitor.look(uplink)
    return {
        "sensor": _sensor(parts),
        "capture": _capture(parts),
        "rules": {
            "loaded": len(parts.pipeline.rules.rules),
            "refused": len(parts.pipeline.rules.refused),
            "refused_for": dict(refusal_summary(parts.pipeline.rules)[:10]),
            "digest": parts.pipeline.rules.digest,
            "matcher": parts.pipeline.rules.matcher,
            "generation": generation,
        },
        "spool": _spool(parts),
        "uplink": {
            "state": uplink.state.value,
            "in_state_s": round(uplink.in_state_s, 1),
            "url": uplink.url,
            "reason": uplink.reason,
            "advice": uplink.advice,
            "batches_stored": uplink.batches_stored,
            "events_stored": uplink.events_stored,
            "events_rejected": uplink.events_rejected,
            "last_rejection": uplink.last_rejection,
            "last_stored_ns": uplink.last_stored_ns,
            "last_heartbeat_ns": uplink.last_heartbeat_ns,
            "clock_skew_ms": uplink.clock_skew_ms,
        },
        "renewal": _renewal(parts),
        "supervisor": _supervisor(facts.supervisor),
        "signs": {sign.part.value: "alive" if sign.alive else sign.text for sign in parts.pulse.signs()},
        "findings": [
            {"check": f.check.value, "severity": f.severity.value, "text": f.text, "advice": f.advice} for f in findings
        ],
    }


def _supervisor(status: SupervisorStatus) -> dict[str, Any]:
    said = asdict(status)
    del said["is_up"]
    return said | {
        "in_state_s": round(status.in_state_s, 1),
        "features": list(status.features),
        "flags": list(status.flags),
    }


def _sensor(parts: Parts) -> dict[str, Any]:
    certificate = parts.identity.certificate
    return {
        "sensor_id": certificate.sensor_id,
        "assurance": certificate.assurance,
        "certificate_good_until_ns": parts.renewer.status().not_after_ns,
        "version": __version__,
        "engine_version": vedette_engine.__version__,
        "state_dir": parts.config.sensor.state_dir,
    }


def _renewal(parts: Parts) -> dict[str, Any]:
    renewal = parts.renewer.status()
    return {
        "state": renewal.state.value,
        "due_ns": renewal.due_ns,
        "failures": renewal.failures,
        "reason": renewal.reason,
        "advice": renewal.advice,
    }


def _capture(parts: Parts) -> dict[str, Any]:
    section = parts.config.capture
    done, total = parts.capture.progress()
    return {
        "source": "files" if section.files else "interfaces",
        "names": list(section.files or section.interfaces),
        "finished": parts.pipeline.finished,
        "bytes_read": done,
        "bytes_in_all": total,
        "warnings": parts.capture.warnings(),
        "counters": parts.capture.stats(),
    }


def _spool(parts: Parts) -> dict[str, Any]:
    spool = parts.spool
    try:
        depth = spool.depth()
        waiting, size = depth.events, depth.bytes
    except ApplianceError:
        waiting, size = 0, 0
    return {
        "epoch": spool.epoch,
        "accepted": spool.accepted,
        "next_seq": spool.next_seq,
        "stored_to": spool.cursor,
        "waiting": waiting,
        "bytes": size,
        "lost": spool.lost_events,
        "fault": parts.pipeline.fault,
        "notes": list(spool.notes),
    }
