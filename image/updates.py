"""Drills of updates: good ones, bad ones, those that nobody should install.

Rules of this file: the versions are drill images of this tree that differ in number and in what is broken on purpose.
The box does everything by itself, as it would in a rack; its ear is used to look, and to hand it bundles that no
provider would offer.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from appliance.wire.bundle import HEAD_BYTES, read_head, write_head
from image.bench import LOADER, Bench, Box
from image.build import DRILL, build
from image.bundle import bundle_name, make_bundle, sign_manifest
from image.cache import fingerprint
from image.cuts import cut_through, kept_disk, marks
from image.errors import DrillError
from image.fat import make_fat
from image.keys import Keys, make_development_keys
from image.layout import MIB
from image.standstill import Standstill

STICK_MIB = 320
BROKEN = "usr/lib/vedette/broken"
LATE_UNIT = "usr/lib/systemd/system/vedette-late.service"
LATE_MARK = "/var/lib/vedette-late"
_LATE = f"""\
[Unit]
Description=DRILL: crashes the kernel at each start once it was told to
DefaultDependencies=no
After=vedette-boot.service
Before=vedette-health.service
ConditionPathExists={LATE_MARK}

[Service]
Type=oneshot
ExecStart=/bin/sh -c "sync; echo c > /proc/sysrq-trigger"
"""


@dataclass(frozen=True, slots=True)
class Variant:
    """A version that differs from the one that was made by its number and these files."""

    step: int
    files: tuple[tuple[str, str], ...] = ()


NEXT = Variant(1, ((LATE_UNIT, _LATE),))
BAD = Variant(2, ((BROKEN, ""),))


def version_of(bench: Bench, variant: Variant) -> str:
    """Its version: the last number raised."""
    *head, last = bench.plan.version.split(".")
    return ".".join([*head, str(int(last) + variant.step)])


def bundle_of(bench: Bench, variant: Variant) -> Path:
    """The bundle of a variant, made when it is not there or the drill image has changed.

    Raises:
        ImageError: it could not be made.
    """
    version = version_of(bench, variant)
    base = bench.drill_image.parent
    target = base.with_name(f"{base.name}-{version}")
    made_of = fingerprint([(base / "parts.json"), repr(variant)])
    stamp, path = target / "made-of", target / bundle_name(version, bench.plan.architecture)
    if path.is_file() and stamp.is_file() and stamp.read_text(encoding="ascii") == made_of:
        return path
    overlay = bench.tools.cache.folder / "work" / f"overlay-{version}"
    shutil.rmtree(overlay, ignore_errors=True)
    for name, text in variant.files:
        (overlay / name).parent.mkdir(parents=True, exist_ok=True)
        (overlay / name).write_text(text, encoding="ascii")
        if name.endswith(".service"):
            wants = (overlay / name).parent / "multi-user.target.wants"
            wants.mkdir(exist_ok=True)
            (wants / Path(name).name).symlink_to(f"../{Path(name).name}")
    bench.tell(f"           making version {version}")
    plan = replace(bench.plan, version=version, target=target, extra=(DRILL, overlay), compress=False)
    build(bench.tools.cache, plan, lambda _: None)
    made = {"version": version, "architecture": plan.architecture, "epoch": plan.epoch}
    path = make_bundle(bench.tools, plan.keys, target, **made)  # type: ignore[arg-type]
    stamp.write_text(made_of, encoding="ascii")
    bench.tell(f"           {path.name}: {path.stat().st_size / MIB:.1f} MiB")
    return path


def manifest_of(bundle: Path) -> dict[str, Any]:
    """What a bundle says of itself."""
    with bundle.open("rb") as file:
        lengths = read_head(file.read(HEAD_BYTES))
        return dict(json.loads(file.read(lengths.manifest_bytes)))


def put_on_stick(bench: Bench, box: Box, *bundles: Path) -> None:
    """A stick with bundles in the box; there from its next start on."""
    box.machine.stick = box.machine.folder / "update.fat"
    make_fat(bench.tools, box.machine.stick, bundles, mib=STICK_MIB)


def healthy_as(bench: Bench, box: Box, version: str, name: str) -> None:
    """Wait for a healthy start of a version.

    Raises:
        DrillError: another version came up, or none.
    """
    machine = box.machine
    pattern = rf"VEDETTE healthy version={version.replace('.', '[.]')} "
    bench.stage(machine, name, pattern, refused=rf"VEDETTE healthy version=(?!{version.replace('.', '[.]')} )")


def state(box: Box) -> dict[str, object]:
    """What the box says of its update."""
    return dict(json.loads(box.machine.ask("vedette", "update", "status", "--json")))


def expect(box: Box, **wanted: object) -> None:
    """See that the box says so.

    Raises:
        DrillError: it says something else.
    """
    said = state(box)
    box.bench.tell(f"           { ({name: said[name] for name in wanted}) }")
    if different := {name: said[name] for name, value in wanted.items() if said[name] != value}:
        raise DrillError(f"the box says {different}, {wanted} was allowed\n{json.dumps(said, indent=1)}")


def settled(box: Box) -> None:
    """Wait until the start is judged, and see that a power cut then would leave what runs.

    Raises:
        DrillError: it is not, or would not.
    """
    bench, machine = box.bench, box.machine
    bench.stage(machine, "tries put back", r"VEDETTE boot: good")
    with machine.standing_still():
        version = Standstill(bench.tools, bench.keys, machine.disks[0], machine.folder / "standstill").starts()
    bench.reached(machine, f"a power cut now: {version} would start, whole")


@contextmanager
def updated_box(bench: Bench, name: str) -> Iterator[tuple[Box, str]]:
    """An enrolled box that a stick has brought to the next version, running; and that version.

    Raises:
        DrillError: it did not get there.
    """
    old, new = bench.plan.version, version_of(bench, NEXT)
    bundle = bundle_of(bench, NEXT)
    with bench.enrolled_box(name) as box:
        put_on_stick(bench, box, bundle)
        box.machine.start()
        healthy_as(bench, box, old, f"version {old} runs, a stick is in")
        bench.stage(box.machine, "written", r"written (\d+) of \1 MiB")
        box.machine.forget()
        bench.stage(box.machine, "starts again", LOADER)
        healthy_as(bench, box, new, f"version {new} is healthy")
        settled(box)
        yield box, new


def update_stick(bench: Bench) -> None:
    """A stick with the next version: written, started, good, reported; alerts go on and nothing kept was lost.

    Raises:
        DrillError: it did not get there.
    """
    with updated_box(bench, "update-stick") as (box, new):
        expect(box, state="good", running=new, good_version=new)
        bench.stage(box.machine, "the same stick is not taken twice", r"runs already")
        reported(box, "good", new)
        box.traffic()


def update_collector(bench: Bench) -> None:
    """The collector offers the next version: fetched by the sensor, written, started, good, reported; alerts go on.

    Raises:
        DrillError: it did not get there.
    """
    old, new = bench.plan.version, version_of(bench, NEXT)
    bundle = bundle_of(bench, NEXT)
    with bench.enrolled_box("update-collector") as box:
        provider, machine = box.provider, box.machine
        bench.tell("           " + provider.ask("update", "offer", str(provider.store), str(bundle), "--all").strip())
        machine.start()
        healthy_as(bench, box, old, f"version {old} runs")
        bench.stage(machine, "fetched and written", r"written (\d+) of \1 MiB")
        machine.forget()
        bench.stage(machine, "starts again", LOADER)
        healthy_as(bench, box, new, f"version {new} is healthy")
        settled(box)
        expect(box, state="good", running=new)
        reported(box, "good", new)
        box.traffic()


def update_broken(bench: Bench) -> None:
    """The collector offers a version that is never healthy: three starts, then the old one again, and the reason told.

    Raises:
        DrillError: the box did not come back, or did not say why.
    """
    old, bad = bench.plan.version, version_of(bench, BAD)
    bundle = bundle_of(bench, BAD)
    with bench.enrolled_box("update-broken") as box:
        provider, machine = box.provider, box.machine
        bench.tell("           " + provider.ask("update", "offer", str(provider.store), str(bundle), "--all").strip())
        machine.start()
        healthy_as(bench, box, old, f"version {old} runs")
        bench.stage(machine, "fetched, being written", r"written \d+ of \d+ MiB")
        total = sum(part["size_bytes"] for part in manifest_of(bundle)["parts"])
        chance = random.Random(bench.seed)  # noqa: S311  moments, not secrets
        cut_through(bench, machine, total, marks(chance, bench.count))
        for number in (1, 2, 3):
            machine.forget()
            refused = r"VEDETTE healthy|No bootable option"
            wanted = rf"VEDETTE unhealthy version={bad.replace('.', '[.]')}"
            bench.stage(machine, f"start {number} of {bad}: not healthy", wanted, refused=refused)
        machine.forget()
        healthy_as(bench, box, old, f"version {old} again")
        settled(box)
        expect(box, state="fell back", running=old, version=bad)
        reported(box, "fell-back", bad, "broken on purpose")
        box.traffic()
        expect(box, state="fell back", running=old, version=bad)
        bench.tell("           and the same offer is not taken again")


def update_late(bench: Bench) -> None:
    """A version that was good and breaks days later: three starts, then the other slot; told with the kernel's words.

    Raises:
        DrillError: the box went round, or did not say why.
    """
    with updated_box(bench, "update-late") as (box, new):
        box.machine.stick = None
        machine, old = box.machine, bench.plan.version
        machine.ask("touch", LATE_MARK)
        machine.forget()
        machine.order("systemctl", "reboot")
        for number in (1, 2, 3):
            bench.stage(machine, f"start {number}: boot loader", LOADER, refused=r"VEDETTE healthy")
            started = rf"VEDETTE boot: version {new.replace('.', '[.]')}"
            bench.stage(machine, f"start {number}: version {new}", started, refused=r"VEDETTE healthy")
            bench.stage(machine, f"start {number}: it crashes", r"\] Kernel panic", refused=r"VEDETTE healthy")
            machine.forget()
        healthy_as(bench, box, old, f"version {old} again")
        settled(box)
        expect(box, state="fell back", running=old, version=new)
        reported(box, "fell-back", new, "panic")


def update_refused(bench: Bench) -> None:
    """Bundles of a stranger, of a version below the floor, and one cut off: refused by name, nothing is written.

    Raises:
        DrillError: one was taken, or another reason was told.
    """
    good = bundle_of(bench, NEXT)
    folder = bench.tools.cache.folder / "work" / "refused"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    whole = good.read_bytes()
    lengths = read_head(whole[:HEAD_BYTES])
    begin = HEAD_BYTES + lengths.manifest_bytes
    manifest, rest = whole[HEAD_BYTES:begin], whole[begin + lengths.signature_bytes :]
    stranger = Keys(folder / "stranger")
    make_development_keys(bench.tools, stranger.folder)

    def signed(keys: Keys, data: bytes) -> bytes:
        return write_head(data, sign_manifest(bench.tools, keys, data, folder)) + rest

    below = json.dumps({**manifest_of(good), "version": "0.0.9", "security_floor": "0.0.1"}).encode()
    cases = {
        "stranger.bundle": (signed(stranger, manifest), "none of this box's keys"),
        "below.bundle": (signed(bench.keys, below), "security floor"),
        "cut.bundle": (whole[: len(whole) // 2], "bytes came"),
    }
    with bench.enrolled_box("update-refused") as box:
        for name, (data, _) in cases.items():
            (folder / name).write_bytes(data)
        put_on_stick(bench, box, *(folder / name for name in cases))
        box.boot()
        settled(box)
        machine = box.machine
        before = machine.written_bytes()
        machine.ask("mkdir", "-p", "/run/drill")
        machine.ask("sh", "-c", "mount -o ro /dev/disk/by-label/VEDETTE /run/drill")
        for name, (_, words) in cases.items():
            said = machine.ask("vedette", "update", f"/run/drill/{name}", "--older", code=2, timeout_s=300)
            if words not in said:
                raise DrillError(f"{name}: the box said {said!r}, {words!r} was allowed")
            bench.reached(machine, f"{name}: {said.splitlines()[0][:110]}")
        expect(box, state="idle", running=bench.plan.version)
        bench.tell(f"           written meanwhile: {(machine.written_bytes() - before) / MIB:.1f} MiB (log and spool)")


def update_power(bench: Bench) -> None:
    """Power goes at random moments while an update is written: what is on the disk then is whole, and starts.

    One box writes one update. At `--count` random moments it is made to stand still, and its disk is looked at as
    firmware, boot loader and kernel would after a power cut then. `--starts` of these disks are started, with the same
    box's TPM, and must get healthy; the first of them must get to the new version by itself.

    Raises:
        DrillError: something that would be started is not whole, or a disk did not get there.
    """
    chance = random.Random(bench.seed)  # noqa: S311  moments, not secrets
    old, new = bench.plan.version, version_of(bench, NEXT)
    bundle = bundle_of(bench, NEXT)
    total = sum(part["size_bytes"] for part in manifest_of(bundle)["parts"])
    shares = marks(chance, bench.count)
    kept = set(chance.sample(range(bench.count), min(bench.starts, bench.count)))
    bench.tell(
        f"           seed {bench.seed}: {bench.count} cuts in {total / MIB:.0f} MiB, {len(kept)} of them started"
    )
    with bench.enrolled_box("update-power") as box:
        machine = box.machine
        put_on_stick(bench, box, bundle)
        machine.start()
        healthy_as(bench, box, old, f"version {old} runs, a stick is in")
        if different := cut_through(bench, machine, total, shares, kept=kept) - {old, new}:
            raise DrillError(f"the cuts would start {different}")
        machine.forget()
        healthy_as(bench, box, new, f"and without a cut, version {new} is healthy")
        settled(box)
        machine.stop()
        for number in sorted(kept):
            kept_disk(machine, number).replace(machine.disks[0])
            machine.start()
            said = bench.stage(machine, f"cut {number + 1}, started", rf"VEDETTE healthy version=({old}|{new}) ")
            bench.tell(f"           {said.partition('VEDETTE ')[2]}")
            if number == min(kept):
                if f"version={old} " in said:
                    machine.forget()
                    healthy_as(bench, box, new, f"cut {number + 1}: version {new} in the end")
                settled(box)
            machine.stop()


def reported(box: Box, kind: str, version: str, *words: str) -> None:
    """Wait until the collector has the outcome of an update.

    Raises:
        DrillError: it has not.
    """

    def found() -> str:
        box.machine.read_on()
        for outcome in json.loads(box.provider.ask("update", "outcomes", str(box.provider.store), "--json")):
            if (outcome["kind"], outcome["version"]) == (kind, version) and all(w in outcome["reason"] for w in words):
                return f"{outcome['kind']} {outcome['version']}: {outcome['reason'] or 'as it should be'}"
        return ""

    text = box.provider.wait(f"the collector knows {kind} {version}", found, timeout_s=box.bench.timeout_s)
    box.bench.reached(box.machine, "the collector knows the outcome")
    box.bench.tell(f"           {text}")
