"""Setting a box up from a stick, from reading it to wiping it.

    read and check the stick -> keep what it says (one file, in place whole) -> network file -> enroll
        -> wipe the token in what is kept -> wipe it on the stick

Rules of this file: nothing of a stick is taken before all of it is checked. Each step is found again by what it leaves,
so the power may go between any two: what is kept needs the stick no more until it is to be wiped. The network of what
is kept comes first at each start, whatever else fails: without it a certificate that ended could not be renewed.
Nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from appliance.clock import Clock
from appliance.config import KEPT_NAME, Config, ConfigError, read_kept
from appliance.enroll import Enrolled, EnrollmentPlan, enroll, standing
from appliance.errors import ApplianceError, EnvironmentFault
from appliance.files import replace_file
from appliance.identity import IdentityFolder, SensorCertificate
from appliance.setup.decide import Situation, Step, decide
from appliance.setup.errors import NoSetupFileError, NothingToSetUpError
from appliance.setup.network import put
from appliance.setup.stick import StickFile, read_stick, wipe_secret
from appliance.wire.fields import format_clock
from appliance.wire.setup_file import Setup
from appliance.wire.setup_render import render_setup, with_remark

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Box:
    """What is set up: the configuration file's content without a stick's, the identity, the time.

    `enroller` does the enrollment itself; without one, `enroll.enroll` by the box's clock.
    """

    base: Config
    folder: IdentityFolder
    clock: Clock
    network_dir: Path | None = None
    leave_stick: bool = False
    enroller: Callable[[EnrollmentPlan, Tell], Enrolled] | None = field(default=None, repr=False)

    @property
    def kept_path(self) -> Path:
        """Where the stick's content is kept."""
        return Path(self.base.sensor.state_dir) / KEPT_NAME


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it. `certificate` is None before the enrollment, and when it `ended`."""

    certificate: SensorCertificate | None
    network_file: Path | None = None
    stick_wiped: bool = False
    ended: bool = False


def set_up(stick_dir: Path | None, box: Box, *, and_enroll: bool = True, on_step: Tell = lambda _: None) -> Outcome:
    """Bring a box as far as it goes: from the stick, or from what was kept of one. May be repeated.

    Raises:
        OperatorError: the stick's content, the wrong stick or the wrong box, by name (`setup.errors`).
        EnvironmentFault: the stick or this machine's disk, by name.
        ApplianceError: as `enroll.enroll`.
    """
    kept = _kept(box, stick_dir)
    network_file = _network(box, kept, on_step)
    stick = _stick(stick_dir, kept, on_step)
    pin = kept.ca_pin if kept else box.base.collector.ca_pin
    certificate = _standing(box, pin)
    step = decide(
        Situation(
            stick.setup if stick else None,
            kept,
            certificate.sensor_id if certificate else "",
            box.folder.certificate_path.exists(),
            pin,
        )
    )
    if step is Step.ACCEPT and stick is not None:
        if not box.leave_stick:
            stick.check_writable()
        kept = stick.setup
        _keep(box, render_setup(kept))
        on_step(f"{stick.path}: taken in; token {kept.token_id}" + _for(kept))
        network_file = _network(box, kept, on_step)
    if certificate is None and step is Step.NOTHING:
        return Outcome(None, network_file, ended=True)
    if certificate is None:
        if not and_enroll or kept is None:
            return Outcome(None, network_file)
        certificate = _enroll(box, kept, on_step).certificate
    return Outcome(certificate, network_file, _finish(box, kept, stick, certificate, on_step))


class _NoEarlier:
    """A clock that never says a time before `floor_ns`."""

    def __init__(self, clock: Clock, floor_ns: int) -> None:
        self._clock, self._floor_ns = clock, floor_ns

    def wall_ns(self) -> int:
        return max(self._clock.wall_ns(), self._floor_ns)

    def monotonic_s(self) -> float:
        return self._clock.monotonic_s()


def _standing(box: Box, pin: str) -> SensorCertificate | None:
    """The certificate in force, if it has not ended; that it has not begun says only that the clock is slow."""
    try:
        begun_ns = box.folder.load().certificate.life.not_before_ns if pin else 0
    except ApplianceError:
        return None
    return standing(box.folder, pin, _NoEarlier(box.clock, begun_ns)) if pin else None


def _network(box: Box, kept: Setup | None, on_step: Tell) -> Path | None:
    path = put(box.network_dir, kept.network) if kept and box.network_dir else None
    if path:
        on_step(f"{path}: written")
    return path


def _kept(box: Box, stick_dir: Path | None) -> Setup | None:
    """What is kept; a stick replaces what cannot be read."""
    try:
        return read_kept(box.kept_path.parent)
    except ConfigError:
        if stick_dir is None:
            raise
        return None


def _stick(folder: Path | None, kept: Setup | None, on_step: Tell) -> StickFile | None:
    if folder is None:
        return None
    try:
        return read_stick(folder)
    except NoSetupFileError as error:
        if kept is None:
            raise
        on_step(f"{error}; going on with what was taken in before")
        return None


def _enroll(box: Box, kept: Setup, on_step: Tell) -> Enrolled:
    if kept.token is None:
        raise NothingToSetUpError("the token that was taken in is spent", advice="ask the provider for a new file")
    plan = EnrollmentPlan.parse(
        urls=kept.urls,
        ca_pin=kept.ca_pin,
        token=str(kept.token),
        proxy=kept.proxy,
        timeout_s=box.base.collector.timeout_s,
    )
    if box.enroller is not None:
        return box.enroller(plan, on_step)
    return enroll(plan, box.folder, box.clock, on_step=on_step)


def _finish(
    box: Box, kept: Setup | None, stick: StickFile | None, certificate: SensorCertificate, on_step: Tell
) -> bool:
    """Wipe the token in what is kept, then on the stick; whether the stick's was wiped now."""
    sensor_id = certificate.sensor_id
    at = format_clock(_NoEarlier(box.clock, certificate.life.not_before_ns).wall_ns())[:19] + "Z"
    if kept is None:
        return False
    if not _remarked(kept):
        _spend(box, kept, sensor_id, at)
        on_step(f"{box.kept_path}: the token is wiped")
    if stick is None or stick.setup.token_id != kept.token_id or _remarked(stick.setup):
        return False
    if box.leave_stick:
        on_step(f"{stick.path}: left as it is; its token is spent")
        return False
    stick.mark_used(sensor_id, at)
    on_step(f"{stick.path}: the token is wiped; the stick can be taken out")
    return True


def _remarked(setup: Setup) -> bool:
    """Whether all of the wiping was done, and not the first part alone."""
    return setup.used is not None and bool(setup.used.sensor_id)


def _keep(box: Box, text: str) -> None:
    try:
        box.kept_path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(box.kept_path, text.encode())
    except OSError as error:
        raise _fault(box.kept_path, error) from error


def _spend(box: Box, kept: Setup, sensor_id: str, at: str) -> None:
    """The secret goes where it stands, then the remark comes; both leave a file that can be read."""
    try:
        data = wipe_secret(box.kept_path, box.kept_path.read_bytes(), kept)
        replace_file(box.kept_path, with_remark(data.decode(), sensor_id, at).encode())
    except OSError as error:
        raise _fault(box.kept_path, error) from error


def _for(setup: Setup) -> str:
    return f" for {setup.tenant}/{setup.site}" if setup.tenant and setup.site else ""


def _fault(path: Path, error: OSError) -> EnvironmentFault:
    return EnvironmentFault(f"{path}: {error.strerror or error}", advice="check [sensor] state_dir and its disk")
