"""`vedette run`: starts the parts, feeds the watchdog, reloads on SIGHUP, drains on SIGTERM.

    main thread      signals, rule reload, the end
    pipeline         engine -> events -> spool
    uplink           spool -> collector -> receipts; heartbeats
    update           offer -> bundle on disk; may die at any moment, so nobody waits for it
    renewal          a new key and certificate in time; may die at any moment (`enroll.renew`), so nobody waits for it
    supervisor       beats to the microcontroller, and what it says
    watchdog, probe  systemd; a small write to the disk now and then
    status           the local socket

Rules of this file: the only place that starts threads and handles signals. A part that fails ends the daemon with its
error, for systemd to start it anew: nothing that was accepted is lost by that.
"""

from __future__ import annotations

import logging
import random
import signal
import threading
from collections.abc import Callable
from types import FrameType

from vedette_engine import EngineError

from appliance.clock import Clock
from appliance.config import Config
from appliance.daemon.control import CONTROL_SOCKET, ControlServer
from appliance.daemon.graph import Parts, build, load_configured_rules
from appliance.daemon.report import status
from appliance.daemon.status import StatusServer
from appliance.enroll import RenewalStatus
from appliance.errors import ApplianceError, EnvironmentFault
from appliance.health import Notifier, Watchdog
from appliance.mcu import Supervisor
from appliance.update.updater import FetchStatus
from appliance.uplink import UplinkStatus
from appliance.wire import mcu_words as words

log = logging.getLogger("vedette")

DRAIN_S = 10.0
TURN_S = 0.2
PIPELINE_OVERDUE_S = 30.0
SUPERVISOR_OVERDUE_S = 30.0
SUPERVISOR_END_S = 3.0


class Daemon:
    """One run of the daemon; `run` returns the exit code."""

    def __init__(self, config: Config, clock: Clock, notifier: Notifier, reread: Callable[[], Config]) -> None:
        """`reread` gives the configuration as it is on disk now, for a reload.

        Raises:
            ApplianceError: a part cannot be made.
        """
        self._clock = clock
        self._notifier = notifier
        self._reread = reread
        self._parts: Parts = build(
            config,
            clock,
            chance=random.SystemRandom().random,
            on_uplink=tell_uplink,
            on_renewal=tell_renewal,
            on_update=tell_update,
        )
        self._stop = threading.Event()
        self._reload = threading.Event()
        self._wake = threading.Event()
        self._failure: ApplianceError | None = None
        self._generation = 0
        self._liveness = self._parts.liveness
        supervisor = self._parts.supervisor
        self._control = None if supervisor is None else control_of(self._parts, supervisor)
        self._status = StatusServer(self._parts.status_socket, lambda: status(self._parts, self._generation))

    def run(self) -> int:
        """Work until told to stop, or until the files are read and delivered when configured so.

        Raises:
            ApplianceError: a part failed.
        """
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        self._tell_start()
        never = threading.Event()
        timeout_s = self._parts.config.collector.timeout_s
        pipeline = self._thread("pipeline", self._pipeline, PIPELINE_OVERDUE_S)
        uplink_stop = threading.Event()
        # One step of the uplink waits for connection, handshake, request and answer, each up to the timeout.
        uplink = self._thread("uplink", lambda beat: self._parts.uplink.run(uplink_stop, beat=beat), 5.0 * timeout_s)
        # A renewal asks twice, at each address, and each ask waits as the uplink's step does.
        renewal_s = 10.0 * timeout_s * len(self._parts.config.collector.urls) + 60.0
        self._thread("renewal", lambda beat: self._parts.renewer.run(self._stop, beat=beat), renewal_s, daemon=True)
        if (updater := self._parts.updater) is not None:
            # The hash of a whole bundle takes a while on a small box.
            self._thread("update", lambda beat: updater.run(self._stop, beat=beat), 5.0 * timeout_s + 120, daemon=True)
        watchdog = Watchdog(
            self._notifier,
            self._liveness,
            signs=self._parts.pulse.signs,
            on_stale=lambda names: log.error("stopped: %s", ", ".join(names)),
        )
        threading.Thread(target=self._parts.probe.run, args=(never,), name="probe", daemon=True).start()
        threading.Thread(target=watchdog.run, args=(never,), name="watchdog", daemon=True).start()
        supervisor_stop = threading.Event()
        supervisor = self._start_supervisor(supervisor_stop)
        self._status.start()
        if self._control is not None:
            self._control.start()
        self._parts.beat.phase = words.RUNNING
        self._notifier.ready("watching")
        try:
            while not self._stop.is_set() and not self._delivered():
                self._wake.wait(TURN_S)
                self._wake.clear()
                if self._reload.is_set():
                    self._reload.clear()
                    self._reload_rules()
        finally:
            # Said by the loop's last beat: the supervisor gives what comes after us the time of a boot.
            self._parts.beat.phase = words.DRAINING
            supervisor_stop.set()
            self._end(pipeline, uplink, uplink_stop)
            if supervisor is not None:
                supervisor.join(SUPERVISOR_END_S)
        if self._failure is not None:
            raise self._failure
        return 0

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        (self._reload if number == signal.SIGHUP else self._stop).set()
        self._wake.set()

    def _thread(
        self, name: str, work: Callable[[Callable[[], None]], None], overdue_s: float, *, daemon: bool = False
    ) -> threading.Thread:
        """Start a part; its failure becomes the daemon's."""
        beat = self._liveness.register(name, within_s=overdue_s)

        def body() -> None:
            try:
                work(beat)
            except EngineError as error:
                self._failure = EnvironmentFault(f"engine: {error}")
            except ApplianceError as error:
                self._failure = error
            except Exception as error:
                log.exception("%s failed", name)
                self._failure = EnvironmentFault(f"{name} failed: {error!r}", advice="Report this: a fault of ours.")
            finally:
                self._liveness.retire(name)
            if self._failure is not None:
                self._stop.set()
                self._wake.set()

        thread = threading.Thread(target=body, name=name, daemon=daemon)
        thread.start()
        return thread

    def _start_supervisor(self, stop: threading.Event) -> threading.Thread | None:
        supervisor = self._parts.supervisor
        if supervisor is None:
            return None
        return self._thread(
            "supervisor", lambda beat: supervisor.run(stop, beat=beat), SUPERVISOR_OVERDUE_S, daemon=True
        )

    def _pipeline(self, beat: Callable[[], None]) -> None:
        self._parts.pipeline.run(self._stop, beat=beat)
        self._wake.set()

    def _delivered(self) -> bool:
        """Files are read, everything is stored at the collector, and the configuration wants the end then."""
        if self._parts.config.capture.when_done != "exit" or not self._parts.pipeline.finished:
            return False
        return self._parts.spool.depth().events == 0

    def _reload_rules(self) -> None:
        """Read the rules again; what cannot be read leaves the old set at work."""
        try:
            rules = load_configured_rules(self._reread())
            self._generation = self._parts.pipeline.reload(rules)
        except (ApplianceError, EngineError) as error:
            log.error("rules not reloaded, the old ones stay: %s", error)
            return
        log.info("rules reloaded: %d loaded, %d refused", len(rules.rules), len(rules.refused))

    def _end(self, pipeline: threading.Thread, uplink: threading.Thread, uplink_stop: threading.Event) -> None:
        """Stop capturing, hand over what is open, send what can be sent in time, close."""
        self._notifier.stopping()
        parts = self._parts
        until_s = self._clock.monotonic_s() + DRAIN_S
        parts.capture.stop()
        self._stop.set()
        pipeline.join()
        uplink_stop.set()
        uplink.join(DRAIN_S / 2)
        parts.uplink.interrupt()
        uplink.join()
        drained = parts.uplink.drain(until_s)
        self._status.close()
        if self._control is not None:
            self._control.close()
        if parts.pipeline.left_behind:
            log.error("%d detections were not stored: %s", parts.pipeline.left_behind, parts.pipeline.fault)
        if not drained:
            log.warning("%d events stay in the spool for the next start", parts.spool.depth().events)
        parts.spool.close()

    def _tell_start(self) -> None:
        parts = self._parts
        certificate, rules = parts.identity.certificate, parts.pipeline.rules
        log.info("sensor %s (assurance: %s)", certificate.sensor_id, certificate.assurance)
        log.info("rules: %d loaded, %d refused", len(rules.rules), len(rules.refused))
        for note in parts.spool.notes:
            log.warning("spool: %s", note)


def control_of(parts: Parts, supervisor: Supervisor) -> ControlServer:
    """Where a person has the supervisor do something while its port is ours."""
    return ControlServer(parts.status_socket.with_name(CONTROL_SOCKET), supervisor)


def tell_uplink(state: UplinkStatus) -> None:
    """A change of the uplink's state, for the log."""
    log.info("uplink %s%s", state.state.value, f": {state.reason}" if state.reason else "")


def tell_renewal(status: RenewalStatus) -> None:
    """A change of the renewal's state, for the log."""
    log.info("certificate %s%s", status.state.value, f": {status.reason}" if status.reason else "")


def tell_update(status: FetchStatus) -> None:
    """A change of the fetching of an update, for the log."""
    log.info("update %s %s%s", status.version, status.state.value, f": {status.reason}" if status.reason else "")
