"""The root tree: base tree, overlay and wheels, cut down to what the box needs, the same bytes each time.

Rules of this file: it works on the unpacked tree only. Everything that could differ between two builds (times, caches,
logs, bytecode made in passing) is set or removed here.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.wire.bundle import IMAGE_ID
from image import wheels
from image.errors import StepError
from image.layout import SECURITY_FLOOR
from image.sbom import make_sbom, parse_status
from image.tools import Tools

OVERLAY = Path(__file__).with_name("overlay")
PYTHON_FOLDER = "usr/lib/vedette/python"
UPDATE_KEYS = "usr/lib/vedette/update-keys"
BILL = "usr/share/vedette/bill.cdx.json"

# Drivers and file systems that no sensor has, below /usr/lib/modules/VERSION/kernel.
_MODULES = """
drivers/gpu drivers/media drivers/infiniband drivers/iio drivers/net/wireless drivers/isdn drivers/staging
drivers/bluetooth drivers/comedi drivers/android drivers/accel drivers/nfc drivers/video drivers/soundwire
net/bluetooth net/nfc net/wireless net/mac80211 net/can net/rds net/tipc net/dccp net/sctp sound
fs/btrfs fs/xfs fs/ocfs2 fs/gfs2 fs/nfs fs/nfsd fs/smb fs/ceph fs/f2fs fs/jfs fs/bcachefs fs/ubifs fs/afs fs/orangefs
fs/lockd fs/reiserfs fs/9p fs/coda fs/hfs fs/hfsplus fs/udf fs/nilfs2 fs/ufs fs/minix fs/jffs2 fs/zonefs
""".split()

# Made at run time, by package managers, or for people who are not there.
_CONTENTS = """
boot var usr/share/locale usr/share/info usr/share/man usr/share/bash-completion usr/share/zsh usr/share/lintian
usr/share/bug usr/share/initramfs-tools usr/share/pixmaps etc/initramfs-tools etc/apt etc/cron.d etc/cron.daily
etc/init.d etc/rc0.d etc/rc1.d etc/rc2.d etc/rc3.d etc/rc4.d etc/rc5.d etc/rc6.d etc/rcS.d usr/lib/apt
""".split()
_FILES = """
etc/resolv.conf etc/motd etc/ld.so.cache.old initrd.img initrd.img.old vmlinuz vmlinuz.old
usr/bin/apt usr/bin/apt-get usr/bin/apt-cache usr/bin/apt-cdrom usr/bin/apt-config usr/bin/apt-key usr/bin/apt-mark
usr/lib/systemd/system/debug-shell.service
""".split()

# Copies that the programs which change accounts leave behind, with the day in them.
_BACKUPS = "etc/.pwd.lock etc/passwd- etc/group- etc/shadow- etc/gshadow- etc/subuid- etc/subgid-".split()

# A login prompt, sysv scripts, ssh over vsock, containers: nothing of a sensor begins by itself in these ways.
_GENERATORS = """
systemd-getty-generator systemd-import-generator systemd-integritysetup-generator systemd-rc-local-generator
systemd-ssh-generator systemd-sysv-generator systemd-hibernate-resume-generator systemd-run-generator
systemd-system-update-generator
""".split()


@dataclass(frozen=True, slots=True)
class Made:
    """What a root tree was made of."""

    version: str
    """The kernel's."""

    kernel: Path


def make_root(
    tools: Tools,
    base: Path,
    made_wheels: Sequence[Path],
    target: Path,
    *,
    version: str,
    epoch: int,
    update_key: Path,
    extra: Sequence[Path] = (),
) -> Made:
    """Make the tree in `target`, and the kernel beside it; `extra` are overlays on top of the image's own.

    `update_key` (PEM, public) is the one whose bundles the box installs.

    Raises:
        StepError: a program failed, or the base has not exactly one kernel.
    """
    target.mkdir()
    tools.run("tar", "--extract", "--numeric-owner", "--xattrs", "--file", base, "--directory", target)
    kernel = only_kernel(target)
    vmlinuz = shutil.move(target / f"boot/vmlinuz-{kernel}", target.with_name("vmlinuz"))
    packages = parse_status((target / "var/lib/dpkg/status").read_text(encoding="utf-8"))
    for overlay in (OVERLAY, *extra):
        shutil.copytree(overlay, target, symlinks=True, dirs_exist_ok=True, copy_function=_lay_down)
    name_image(target / "usr/lib/os-release", version)
    (target / UPDATE_KEYS).mkdir(parents=True)
    shutil.copyfile(update_key, target / UPDATE_KEYS / "update.pem")
    for wheel in made_wheels:
        wheels.unpack(wheel, target / PYTHON_FOLDER)
    (target / "usr/lib/python3/dist-packages/vedette.pth").write_text(f"/{PYTHON_FOLDER}\n", encoding="ascii")
    cut_down(target, kernel)
    tools.run("depmod", "--basedir", target, kernel)
    tools.run("systemd-sysusers", f"--root={target}")
    # What is in the image is also in the image: support and scanners read it there.
    make_sbom(packages, made_wheels, target / BILL, version=version, epoch=epoch)
    enable_units(tools, target)
    lock_accounts(target)
    compile_python(tools, target)
    (target / "etc/resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")
    # systemd takes this file's time as the earliest that can be now: a box without a clock starts there.
    (target / "usr/lib/clock-epoch").touch()
    # The same for the sensor's own floor under the time (`appliance.enroll.clock_floor`).
    (target / "usr/lib/vedette/build-date").write_text(f"{epoch}\n", encoding="ascii")
    set_times(target, epoch)
    return Made(kernel, Path(vmlinuz))


def only_kernel(tree: Path) -> str:
    """The version of the one kernel in a tree.

    Raises:
        StepError: there is none or more than one.
    """
    found = sorted(p.name for p in (tree / "usr/lib/modules").iterdir())
    if len(found) != 1:
        raise StepError(f"kernels {found} came, one was allowed")
    return found[0]


def name_image(os_release: Path, version: str) -> None:
    """Say in os-release what image this is."""
    text = os_release.read_text(encoding="utf-8")
    os_release.write_text(
        f"{text}IMAGE_ID={IMAGE_ID}\nIMAGE_VERSION={version}\nVEDETTE_SECURITY_FLOOR={SECURITY_FLOOR}\n",
        encoding="utf-8",
    )


def cut_down(tree: Path, kernel: str) -> None:
    """Remove what the box has no use for, and every bit that raises privileges."""
    for name in _MODULES:
        shutil.rmtree(tree / "usr/lib/modules" / kernel / "kernel" / name, ignore_errors=True)
    for name in _CONTENTS:
        empty(tree / name)
    for name in _FILES:
        (tree / name).unlink(missing_ok=True)
    for name in _GENERATORS:
        (tree / "usr/lib/systemd/system-generators" / name).unlink(missing_ok=True)
    for path in list(tree.rglob("__pycache__")):
        shutil.rmtree(path)
    for path in tree.rglob("*"):
        if not path.is_symlink() and path.is_file() and path.stat().st_mode & 0o6000:
            path.chmod(path.stat().st_mode & 0o1777)


def empty(folder: Path) -> None:
    """Remove what is in a folder, if it is there."""
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def enable_units(tools: Tools, tree: Path) -> None:
    """Enable what the preset names and nothing else.

    Raises:
        StepError: systemctl failed.
    """
    tools.run("systemctl", f"--root={tree}", "preset-all")
    tools.run("systemctl", f"--root={tree}", "set-default", "multi-user.target")


def lock_accounts(tree: Path) -> None:
    """Nobody logs in: every password is locked, every shell is nologin."""
    for name in _BACKUPS:
        (tree / name).unlink(missing_ok=True)
    shadow = tree / "etc/shadow"
    lines = [line.split(":") for line in shadow.read_text(encoding="utf-8").splitlines()]
    # The third field is the day of the last change: the day of the build, otherwise.
    shadow.write_text("".join(":".join([f[0], "!*", "1", *f[3:]]) + "\n" for f in lines), encoding="utf-8")
    passwd = tree / "etc/passwd"
    accounts = [line.split(":") for line in passwd.read_text(encoding="utf-8").splitlines()]
    passwd.write_text("".join(":".join([*f[:6], "/usr/sbin/nologin"]) + "\n" for f in accounts), encoding="utf-8")


def compile_python(tools: Tools, tree: Path) -> None:
    """Bytecode for a root that cannot be written to; checked by nothing, so that it depends on no time.

    Raises:
        StepError: a module does not compile.
    """
    modules = ("usr/lib/python3.13", "usr/lib/python3/dist-packages", PYTHON_FOLDER)
    # Bytecode is the same on every machine: the tools tree's Python is of the image's version.
    tools.run(
        *("python3", "-m", "compileall", "-q", "-j", "1", "--invalidation-mode", "unchecked-hash"),
        *("-s", tree, "-p", "/"),
        *(tree / name for name in modules),
        environment={"PYTHONHASHSEED": "0"},
    )


def set_times(tree: Path, epoch: int) -> None:
    """Every file, folder and link of the tree is of the epoch."""
    for path in (tree, *tree.rglob("*")):
        os.utime(path, (epoch, epoch), follow_symlinks=False)


def files_of(tree: Path) -> Iterable[Path]:
    """Every regular file."""
    return (path for path in tree.rglob("*") if path.is_file() and not path.is_symlink())


def _lay_down(source: str, target: str) -> str:
    """Copy a file of the overlay: owner root, executable or not, nothing else of the checkout's modes and times."""
    path = Path(target)
    path.unlink(missing_ok=True)
    shutil.copyfile(source, target, follow_symlinks=False)
    if not path.is_symlink():
        path.chmod(0o755 if os.access(source, os.X_OK) else 0o644)
    return target
