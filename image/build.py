"""`make image`: the order of the steps, from the mirror to the files a release consists of.

Rules of this file: the only place that knows all steps. Each is told with its time; what is made is listed with its
SHA-256 in a manifest beside it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from appliance.wire.bundle import IMAGE_ID
from image import base, mirror, root, tools, wheels
from image.cache import TREE, Cache, sha256
from image.disk import LOADERS, add_recovery, make_disk, make_esp
from image.errors import InputError, StepError
from image.flash import pyz
from image.initrd import make_initrd, make_recovery
from image.keys import Keys
from image.layout import DOWNLOAD_LIMIT_BYTES, MIB, command_line, recovery_command_line
from image.stick import INSTALL, make_stick
from image.uki import make_uki, sign
from image.verity import make_slot

Tell = Callable[[str], None]

# Laid over a root, it takes commands from the virtual machine that runs it. Such an image is never shipped.
DRILL = Path(__file__).with_name("drill")

# When the tree has no history: 1 January 2026.
FALLBACK_EPOCH = 1767225600


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be made."""

    architecture: str
    version: str
    epoch: int
    keys: Keys
    target: Path
    compress: bool = True
    extra: tuple[Path, ...] = ()
    """Overlays on top of the image's own: `DRILL` for drill images, and what breaks an image on purpose."""


def tree_version() -> str:
    """The version of the distribution in this tree."""
    with (TREE / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


def tree_epoch() -> int:
    """The time of the tree's last commit, which every file of the image gets."""
    told = subprocess.run(
        ["git", "-C", str(TREE), "log", "-1", "--format=%ct"], capture_output=True, text=True, check=False
    )  # fmt: skip
    return int(told.stdout) if told.returncode == 0 and told.stdout.strip().isdigit() else FALLBACK_EPOCH


@contextmanager
def step(tell: Tell, name: str) -> Iterator[None]:
    """Tell a step's time when it has succeeded."""
    start_s = time.monotonic()
    yield
    tell(f"{time.monotonic() - start_s:7.1f} s  {name}")


def build(cache: Cache, plan: Plan, tell: Tell) -> dict[str, str]:
    """Make the image in `plan.target`; returns the SHA-256 of each part.

    Raises:
        ImageError: by whose fault it is.
    """
    plan.keys.check()
    source = mirror.configured()
    with step(tell, "tools tree"):
        inside = tools.ready(cache, source, plan.architecture)
    archive = cache.base(base.base_fingerprint(source, plan.architecture))
    if not archive.exists():
        with step(tell, "base tree"):
            base.make_base(inside, source, plan.architecture, epoch=plan.epoch, target=archive)
    with step(tell, "wheels"):
        made_wheels = wheels.make_wheels(cache, plan.architecture, epoch=plan.epoch)
    with cache.work(plan.target.name) as work:
        return _assemble(inside, plan, archive, made_wheels, work, tell)


def _assemble(
    inside: tools.Tools, plan: Plan, archive: Path, made_wheels: tuple[Path, Path], work: Path, tell: Tell
) -> dict[str, str]:
    out, tree = plan.target, work / "root"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    epoch = plan.epoch
    with step(tell, "root tree"):
        made = root.make_root(
            inside,
            archive,
            made_wheels,
            tree,
            version=plan.version,
            epoch=epoch,
            update_key=plan.keys.update_public,
            extra=plan.extra,
        )
    with step(tell, "initrd"):
        initrd = work / "initrd.cpio.zst"
        make_initrd(inside, tree, made.version, work, initrd, epoch=epoch)
        recovery = work / "recovery.cpio.zst"
        make_recovery(inside, tree, work, recovery, architecture=plan.architecture, epoch=epoch)
    with step(tell, "root file system and hash tree"):
        files = make_slot(inside, tree, work, version=plan.version, architecture=plan.architecture, epoch=epoch)
    slot = files.slot
    with step(tell, "kernel file"):
        unsigned = work / "unsigned.efi"
        make = partial(
            make_uki,
            inside,
            plan.keys,
            kernel=made.kernel,
            kernel_version=made.version,
            os_release=tree / "usr/lib/os-release",
            epoch=epoch,
        )
        words = command_line(slot.root_hash)
        make(unsigned, initrds=(initrd,), command_line=words)
        make(work / "install.efi", initrds=(initrd,), command_line=f"{words} {INSTALL}", policy=False)
        both = (initrd, recovery)
        make(work / "recovery.efi", initrds=both, command_line=recovery_command_line(), policy=False)
    shutil.copyfile(tree / root.BILL, out / f"{IMAGE_ID}_{plan.version}.cdx.json")
    with step(tell, "signatures"):
        loader = work / "loader.efi"
        sign(inside, plan.keys, tree / "usr/lib/systemd/boot/efi" / LOADERS[plan.architecture][0], loader)
        sign(inside, plan.keys, unsigned, out / slot.uki_file)
        sign(inside, plan.keys, work / "install.efi", work / "install-signed.efi")
        sign(inside, plan.keys, work / "recovery.efi", work / "recovery-signed.efi")
    with step(tell, "disk"):
        make_esp(
            work / "esp",
            loader=loader,
            uki=out / slot.uki_file,
            uki_name=slot.uki_file,
            architecture=plan.architecture,
            epoch=epoch,
        )
        add_recovery(work / "esp", work / "recovery-signed.efi", epoch=epoch)
        disk = out / f"{IMAGE_ID}_{plan.version}.raw"
        make_disk(inside, work / "esp", files, work, disk, architecture=plan.architecture, epoch=epoch)
    with step(tell, "stick"):
        stick = out / f"{IMAGE_ID}-install_{plan.version}.raw"
        make_stick(
            inside,
            plan.keys,
            work / "esp",
            files,
            work,
            stick,
            loader=loader,
            uki=work / "install-signed.efi",
            uki_name=f"install_{plan.version}.efi",
            architecture=plan.architecture,
            epoch=epoch,
        )
    parts = {
        "root": sha256(files.root),
        "verity": sha256(files.verity),
        "initrd": sha256(initrd),
        "unsigned kernel file": sha256(unsigned),
        "unsigned installer": sha256(work / "install.efi"),
        "unsigned recovery system": sha256(work / "recovery.efi"),
        "root hash": slot.root_hash,
    }
    for path in (files.root, files.verity, initrd, unsigned):
        path.rename(out / path.name)
    if plan.compress:
        with step(tell, "download"):
            compress(inside, stick, tell)
    # Beside the stick's image, under the same list of sums: the three files that a field engineer needs.
    pyz.make(out / pyz.NAME)
    write_manifest(out, parts)
    return parts


def compress(inside: tools.Tools, disk: Path, tell: Tell) -> None:
    """The form that is downloaded.

    Raises:
        StepError: it is larger than it may be.
    """
    target = disk.with_name(disk.name + ".zst")
    inside.run("zstd", "-q", "-f", "-T0", "-12", "-o", target, disk)
    size = target.stat().st_size
    tell(f"           {target.name}: {size / MIB:.1f} MiB of at most {DOWNLOAD_LIMIT_BYTES // MIB} MiB")
    if size > DOWNLOAD_LIMIT_BYTES:
        raise StepError(f"{target.name}: {size} bytes came, {DOWNLOAD_LIMIT_BYTES} were allowed")


def write_manifest(out: Path, parts: dict[str, str]) -> None:
    """SHA256SUMS over all files, and parts.json for comparing two builds."""
    (out / "parts.json").write_text(json.dumps(parts, indent=1) + "\n", encoding="ascii")
    names = sorted(path.name for path in out.iterdir() if path.name != "SHA256SUMS")
    (out / "SHA256SUMS").write_text("".join(f"{sha256(out / n)}  {n}\n" for n in names), encoding="ascii")


def check(cache: Cache, plan: Plan, tell: Tell, *, fresh_base: bool = False) -> dict[str, tuple[str, str]]:
    """Build twice; returns the parts that differ, with both sums.

    Raises:
        ImageError: a build failed.
    """
    made = []
    for turn in ("first", "second"):
        tell(f"{turn} build")
        target = plan.target.with_name(f"{plan.target.name}-{turn}")
        made.append(build(cache, replace(plan, target=target, compress=False), tell))
        if fresh_base:
            # What is compared then is also Debian's own making of a tree; the packages come from the cache.
            cache.base(base.base_fingerprint(mirror.configured(), plan.architecture)).unlink()
    first, second = made
    if first.keys() != second.keys():
        raise InputError("the two builds have different parts")
    return {name: (first[name], second[name]) for name in first if first[name] != second[name]}
