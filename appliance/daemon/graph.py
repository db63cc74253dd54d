"""The object graph of `vedette run`: every part is made here, from the configuration, and handed what it needs.

Rules of this file: it builds and does not run. What is made here is closed by `daemon.run`.
"""

from __future__ import annotations

import hashlib
import ipaddress
import platform
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, cast

import vedette_engine
from vedette_engine import Capture, EngineError, RuleSet

from appliance import __version__
from appliance.clock import Clock
from appliance.config import Config
from appliance.daemon.beat import HealthBeat
from appliance.daemon.element import ReachedElement
from appliance.daemon.guard import open_supervisor, take_pulse
from appliance.engine.alerting import EventBuilder
from appliance.engine.pipeline import Pipeline
from appliance.engine.pseudonym import KEY_OCTETS, CryptoPan
from appliance.engine.ruleset import load_rules, rule_variables
from appliance.enroll import RenewalPlan, RenewalStatus, Renewer
from appliance.enroll.clock_floor import ClockFloor
from appliance.errors import ApplianceError, EnvironmentFault, OperatorError
from appliance.health import DiskProbe, Liveness, Monitor, Pulse
from appliance.health.start import read_starts
from appliance.identity import CollectorUrl, Identity, IdentityFolder, Life, Proxy, key_store
from appliance.identity.keyfile import read_private, write_once
from appliance.mcu import ABSENT, Supervisor
from appliance.spool import Spool
from appliance.update.here import image_version
from appliance.update.here import memory as update_memory
from appliance.update.source import CollectorSource
from appliance.update.updater import FetchStatus, Updater
from appliance.uplink import Pump, Transport, Uplink, UplinkStatus
from appliance.wire.codes import SessionCode
from appliance.wire.heartbeat import Heartbeat, RulesHealth, SystemHealth
from appliance.wire.snml import Detail, Encoding, Sanitizer, Sensor, encode_message_from_fragments

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that runs, built and not yet started."""

    config: Config
    identity: Identity
    spool: Spool
    capture: Capture
    pipeline: Pipeline
    uplink: Uplink
    renewer: Renewer
    updater: Updater | None
    """Only where an image of ours runs, and its updates are wanted."""
    monitor: Monitor
    liveness: Liveness
    probe: DiskProbe
    pulse: Pulse
    beat: HealthBeat
    supervisor: Supervisor | None
    status_socket: Path


def build(
    config: Config,
    clock: Clock,
    *,
    chance: Callable[[], float],
    on_uplink: Callable[[UplinkStatus], None],
    on_renewal: Callable[[RenewalStatus], None] = lambda _: None,
    on_update: Callable[[FetchStatus], None] = lambda _: None,
) -> Parts:
    """Make every part.

    Raises:
        ApplianceError: by whose fault it is: configuration, rules, not enrolled, device, disk.
    """
    if not config.capture.interfaces and not config.capture.files:
        raise OperatorError("[capture]: neither interfaces nor files came", advice="Name what is to be watched.")
    if not config.collector.urls:
        raise OperatorError("[collector] urls: none came", advice="Name the collector, e.g. https://c.example.net:443")
    state_dir = Path(config.sensor.state_dir)
    folder = identity_folder(config)
    identity = folder.load()
    rules = load_configured_rules(config)
    spool = Spool.open(
        state_dir / "spool",
        max_bytes=config.spool.max_mib * MIB,
        segment_bytes=config.spool.segment_mib * MIB,
        clock=clock,
        random_epoch=lambda: secrets.randbits(63),
    )
    try:
        sensor = sensor_element(config)
        builder = EventBuilder(identity.certificate.sensor_id, sensor, sanitizer(config))
        capture = open_capture(config, rules)
        skip = spool.source_mark(source_id(config, rules)) if config.capture.files else 0
        pipeline = Pipeline(capture, rules, builder.render, spool, skip=skip)
        liveness = Liveness(clock)
        probe = DiskProbe(state_dir / "run" / "alive", clock)
        pulse = take_pulse(config, clock, liveness, probe, capture, pipeline, spool)
        beat = HealthBeat(pulse.signs, secrets.randbits(32))
        supervisor = open_supervisor(config, folder.keys, clock, beat)
        updater = open_updater(config, clock, folder, chance, on_update)
        monitor = Monitor(
            spool=spool,
            spool_folder=state_dir / "spool",
            spool_max_bytes=config.spool.max_mib * MIB,
            clock=clock,
            counters=capture.stats,
            rules=lambda: rules_health(pipeline.rules),
            certificate=lambda: certificate_life(folder),
            version=__version__,
            engine_version=vedette_engine.__version__,
            starts=read_starts(),
            supervisor=lambda: ABSENT if supervisor is None else supervisor.status(),
            system=system_health if updater is None else updater.system,
            drops="kernel_drops",
        )
        uplink = open_uplink(config, clock, folder, spool, sensor, monitor, chance, on_uplink)
        section = config.collector
        renewer = Renewer(
            RenewalPlan.parse(urls=section.urls, proxy=section.proxy, timeout_s=section.timeout_s),
            folder,
            clock,
            chance=chance,
            on_renewed=uplink.introduce_anew,
            on_state=on_renewal,
            urged=lambda: uplink.status().reason.startswith(str(SessionCode.AUTHORITY_RETIRED)),
        )
    except BaseException:
        spool.close()
        raise
    socket_path = state_dir / "run" / "status.sock"
    return Parts(
        config,
        identity,
        spool,
        capture,
        pipeline,
        uplink,
        renewer,
        updater,
        monitor,
        liveness,
        probe,
        pulse,
        beat,
        supervisor,
        socket_path,
    )


def identity_folder(config: Config) -> IdentityFolder:
    """Where the sensor's key and certificate are kept, with the store that the key is of.

    Raises:
        TpmMissingError: a TPM is asked for and there is no library to speak to it.
    """
    keys = key_store(config.identity.key_store, config.identity.tcti, ReachedElement(config))
    return IdentityFolder(Path(config.sensor.state_dir) / "identity", keys)


def load_configured_rules(config: Config) -> RuleSet:
    """The rule set that the configuration names.

    Raises:
        RulesError: a file cannot be read, or a variable does not parse.
    """
    cache_dir = Path(config.sensor.state_dir) / "rules-cache"
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentFault(f"{cache_dir}: {error.strerror}", advice="Check [sensor] state_dir.") from error
    section = config.rules
    return load_rules(
        section.paths, rule_variables(section.home_net, section.variables), matcher=section.matcher, cache_dir=cache_dir
    )


def open_capture(config: Config, rules: RuleSet) -> Capture:
    """Files or interfaces, as configured.

    Raises:
        EnvironmentFault: the engine cannot open it.
    """
    section = config.capture
    common = {
        "flow_memcap_mib": section.flow_memcap_mib,
        "stream_memcap_mib": section.stream_memcap_mib,
        "stream_depth_kib": section.stream_depth_kib,
        "body_limit_kib": section.body_limit_kib,
    }
    checksums = cast("Literal['verify', 'ignore']", section.checksums)
    policy = cast("Literal['first', 'last', 'bsd', 'linux']", section.overlap_policy)
    try:
        if section.files:
            return Capture.files(
                section.files, rules, checksums=checksums, midstream=section.midstream, overlap_policy=policy, **common
            )
        return Capture.interface(
            section.interfaces,
            rules,
            threads=section.threads,
            ring_mib=section.ring_mib,
            ring_ms=section.ring_ms,
            checksums=checksums,
            midstream=section.midstream,
            overlap_policy=policy,
            **common,
        )
    except EngineError as error:
        raise EnvironmentFault(str(error), advice="Check [capture]; interfaces need CAP_NET_RAW.") from error


def open_uplink(
    config: Config,
    clock: Clock,
    folder: IdentityFolder,
    spool: Spool,
    sensor: Sensor,
    monitor: Monitor,
    chance: Callable[[], float],
    on_uplink: Callable[[UplinkStatus], None],
) -> Uplink:
    """The one connection to the collector, not yet made."""
    urls = [CollectorUrl.parse(url) for url in config.collector.urls]
    proxy = Proxy.parse(config.collector.proxy) if config.collector.proxy else None
    timeout_s, run = config.collector.timeout_s, secrets.token_hex(16)
    transport = Transport(urls, folder.load, clock=clock, proxy=proxy, timeout_s=timeout_s, run=run)
    pump = Pump(
        now_s=clock.monotonic_s(),
        addresses=len(urls),
        batch_events=config.uplink.batch_events,
        flush_s=config.uplink.flush_ms / 1000,
        heartbeat_s=config.uplink.heartbeat_s,
    )
    return Uplink(
        spool=spool,
        transport=transport,
        pump=pump,
        document=partial(encode_message_from_fragments, sensor),
        heartbeat=partial(_heartbeat, monitor, clock, ClockFloor(Path(config.sensor.state_dir))),
        clock=clock,
        chance=chance,
        encoding=cast("Literal['zstd', 'gzip', 'identity']", config.uplink.compression),
        on_state=on_uplink,
    )


def open_updater(
    config: Config,
    clock: Clock,
    folder: IdentityFolder,
    chance: Callable[[], float],
    on_update: Callable[[FetchStatus], None],
) -> Updater | None:
    """What fetches updates; None where no image of ours runs, or none are wanted."""
    running = image_version()
    if not running or not config.update.fetch:
        return None
    urls = [CollectorUrl.parse(url) for url in config.collector.urls]
    proxy = Proxy.parse(config.collector.proxy) if config.collector.proxy else None
    return Updater(
        CollectorSource(urls, folder.load, clock=clock, proxy=proxy, timeout_s=config.collector.timeout_s),
        update_memory(),
        Path(config.sensor.state_dir) / "update",
        clock,
        running=running,
        check_s=config.update.check_s,
        chance=chance,
        on_state=on_update,
    )


def system_health() -> SystemHealth | None:
    """The image that runs and how it was updated, on a box that fetches none."""
    running = image_version()
    if not running:
        return None
    record = update_memory().read()
    return SystemHealth(running, record.state.value, record.version, record.floor, record.outcomes)


def _heartbeat(monitor: Monitor, clock: Clock, floor: ClockFloor, status: UplinkStatus) -> Heartbeat:
    """How we are; and the collector's time, told over mutual TLS, is kept for the next start."""
    if status.clock_skew_ms is not None:
        floor.learn(clock.wall_ns() - status.clock_skew_ms * 1_000_000)
    return monitor.heartbeat(status)


def certificate_life(folder: IdentityFolder) -> Life | None:
    """How long the certificate on disk is good: enrolling again replaces it without a restart."""
    try:
        return folder.load().certificate.life
    except ApplianceError:
        return None


def rules_health(rules: RuleSet) -> RulesHealth:
    """The rule set as the heartbeat tells it."""
    return RulesHealth(digest=rules.digest, loaded=len(rules.rules), refused=len(rules.refused))


def source_id(config: Config, rules: RuleSet) -> str:
    """Names one deterministic input: the same files, rules and settings give the same detections in the same order."""
    digest = hashlib.sha256(rules.digest.encode())
    for name in config.capture.files:
        path = Path(name)
        if path.exists():
            about = path.stat()
            digest.update(f"\0{path.resolve()}\0{about.st_size}\0{about.st_mtime_ns}".encode())
    digest.update(repr(config.capture).encode())
    return digest.hexdigest()


def sensor_element(config: Config) -> Sensor:
    """Who speaks, in SNML's words."""
    encoding, detail = Encoding(config.alerts.encoding), Detail(config.alerts.detail)
    hostname = config.sensor.hostname or platform.node() or "localhost"
    if len(config.capture.files) == 1:
        return Sensor(encoding, detail, hostname, file=config.capture.files[0])
    address = config.sensor.address or management_address(CollectorUrl.parse(config.collector.urls[0]))
    interfaces = config.capture.interfaces
    return Sensor(
        encoding,
        detail,
        hostname,
        ipaddr=address,
        ipaddr_version=ipaddress.ip_address(address).version,
        interface=interfaces[0] if len(interfaces) == 1 else None,
    )


def management_address(url: CollectorUrl) -> str:
    """Our address on the way to the collector; nothing is sent. The unspecified address when there is no way yet."""
    try:
        family, kind, proto, _, target = socket.getaddrinfo(url.host, url.port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, proto) as probe:
            probe.connect(target)
            return str(probe.getsockname()[0])
    except OSError:
        return "0.0.0.0"  # noqa: S104 - said in a document, nothing is bound


def sanitizer(config: Config) -> Sanitizer | None:
    """What hides addresses, when networks are configured; its key is made once and stays on the box.

    Raises:
        EnvironmentFault: the key cannot be kept, others may have read it, or it is none.
    """
    if not config.alerts.sanitize_networks:
        return None
    networks = [ipaddress.ip_network(network, strict=False) for network in config.alerts.sanitize_networks]
    if config.alerts.sanitize_method == "mask":
        return Sanitizer(networks)
    path = Path(config.sensor.state_dir) / "identity" / "pseudonym.key"
    if not path.exists():
        write_once(path, secrets.token_bytes(KEY_OCTETS))
    key = read_private(path)
    if len(key) != KEY_OCTETS:
        raise EnvironmentFault(
            f"{path}: {len(key)} octets came, {KEY_OCTETS} were allowed",
            advice="Delete the file: a new key is made, and the same address gets another pseudonym from then on.",
        )
    return Sanitizer(networks, CryptoPan(key))
