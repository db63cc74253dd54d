"""What guards the daemon, as part of its object graph: the pulse that is taken of it, and the supervisor's loop.

Rules of this file: it builds and does not run. Nothing about the supervisor keeps the daemon from its work: a key that
cannot be used is told, and the box goes on as one whose board is not there.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from pathlib import Path

from vedette_engine import Capture

from appliance.clock import Clock
from appliance.config import Config
from appliance.engine.pipeline import Pipeline
from appliance.health import DiskProbe, Liveness, Pulse
from appliance.identity import KeyFileError, KeyStore
from appliance.mcu import KeySource, Link, SerialPort, Supervisor, SupervisorStatus
from appliance.mcu.supervisor import Health
from appliance.spool import Spool

log = logging.getLogger("vedette")


def take_pulse(
    config: Config,
    clock: Clock,
    liveness: Liveness,
    probe: DiskProbe,
    capture: Capture,
    pipeline: Pipeline,
    spool: Spool,
) -> Pulse:
    """What the signs of life are read from."""

    def counters() -> tuple[int, ...]:
        stats = capture.stats()
        return stats["engine_cpu_ns"], stats["packets"], capture.progress()[0]

    return Pulse(
        clock,
        liveness,
        probe,
        counters=counters,
        # Files wait while the disk has no room; live capture never does.
        resting=lambda: pipeline.finished or (bool(config.capture.files) and bool(pipeline.fault)),
        spool_fault=lambda: spool.broken,
    )


def open_supervisor(config: Config, keys: KeyStore, clock: Clock, health: Health) -> Supervisor | None:
    """The loop, not yet started; None where no port is configured."""
    port = config.supervisor.port
    if not port:
        return None
    key = key_source(config, keys)
    if Path(port).exists():
        # Before anything else has a line to the TPM, which may be the only one there is.
        try:
            key()
        except KeyFileError as error:
            log.error("supervisor: no key for its link: %s", error)
    return supervisor_of(config, key, clock, health, pairs=config.supervisor.auto_pair)


def key_source(config: Config, keys: KeyStore) -> KeySource:
    """The link's key, made when it is wanted where the box pairs by itself."""
    random = secrets.token_bytes if config.supervisor.auto_pair else None
    return KeySource(keys, Path(config.sensor.state_dir), random)


def supervisor_of(
    config: Config,
    key: Callable[[], bytes | None],
    clock: Clock,
    health: Health | None = None,
    *,
    pairs: bool = False,
    on_event: Callable[[str], None] = lambda event: log.warning("supervisor: %s", event),
    on_press: Callable[[int], None] = lambda _: None,
) -> Supervisor:
    """The loop over the configured port, not yet started. For the rest see `Supervisor`."""
    section = config.supervisor
    return Supervisor(
        section.port,
        lambda: SerialPort(section.port, section.baud),
        Link(None, secrets.token_bytes, clock.monotonic_s()),
        clock,
        key=key,
        health=health,
        pairs=pairs,
        on_event=on_event,
        on_press=on_press,
        on_state=tell_supervisor,
    )


def tell_supervisor(status: SupervisorStatus) -> None:
    """A change of the supervisor's state, for the log."""
    log.info("supervisor %s: %s", status.state, status.says)
