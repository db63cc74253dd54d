"""The initrd: cut out of the root tree, it finds the verified root and changes to it, and that is all.

Rules of this file: no shell prompt, no waiting for a person. Whatever fails in the initrd starts the machine again, so
that the boot loader's counter can fall back to the other slot. Programs come with the libraries they need, modules with
the modules they need. The archive is sorted, so that two builds agree.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from image.disk import LOADERS
from image.elf import closure
from image.root import set_times
from image.tools import Tools

DRACUT_INSTALL = "/usr/lib/dracut/dracut-install"
SYSTEMD = "usr/lib/systemd"

_PROGRAMS = f"""
{SYSTEMD}/systemd {SYSTEMD}/systemd-executor {SYSTEMD}/systemd-journald {SYSTEMD}/systemd-modules-load
{SYSTEMD}/systemd-sysctl {SYSTEMD}/systemd-shutdown {SYSTEMD}/systemd-fsck {SYSTEMD}/systemd-remount-fs
{SYSTEMD}/systemd-udevd {SYSTEMD}/systemd-veritysetup {SYSTEMD}/systemd-sysroot-fstab-check
{SYSTEMD}/systemd-pcrextend {SYSTEMD}/system-generators/systemd-fstab-generator
{SYSTEMD}/system-generators/systemd-gpt-auto-generator {SYSTEMD}/system-generators/systemd-veritysetup-generator
usr/bin/systemctl usr/bin/udevadm usr/bin/systemd-tmpfiles usr/bin/kmod usr/bin/mount usr/bin/umount usr/sbin/dmsetup
""".split()

# Laid over the initrd, it is the recovery system; these are what it needs besides.
RECOVERY = Path(__file__).with_name("recovery_system")
_RECOVERY_PROGRAMS = ("usr/bin/bootctl", "usr/bin/echo", "usr/bin/efibootmgr")

# systemd opens these by name when it needs them, so no program's list of libraries shows them.
_LIBRARIES = """
libcryptsetup.so.12 libkmod.so.2 libblkid.so.1 libmount.so.1 libtss2-esys.so.0 libtss2-mu.so.0 libtss2-rc.so.0
libtss2-tcti-device.so.0
""".split()

_UNITS = """
initrd.target initrd-fs.target initrd-root-device.target initrd-root-fs.target initrd-usr-fs.target
initrd-switch-root.target initrd-switch-root.service initrd-cleanup.service initrd-parse-etc.service
initrd-udevadm-cleanup-db.service basic.target sysinit.target local-fs.target local-fs-pre.target paths.target
slices.target sockets.target timers.target swap.target shutdown.target final.target umount.target reboot.target
poweroff.target systemd-reboot.service systemd-poweroff.service rescue.target veritysetup.target
veritysetup-pre.target cryptsetup.target cryptsetup-pre.target remote-veritysetup.target remote-cryptsetup.target
remote-fs.target remote-fs-pre.target systemd-journald.service systemd-journald.socket
systemd-journald-dev-log.socket systemd-modules-load.service systemd-udevd.service systemd-udevd-control.socket
systemd-udevd-kernel.socket systemd-udev-trigger.service systemd-tmpfiles-setup.service
systemd-tmpfiles-setup-dev.service systemd-tmpfiles-setup-dev-early.service kmod-static-nodes.service
modprobe@.service systemd-fsck-root.service systemd-fsck@.service systemd-pcrphase-initrd.service tpm2.target
""".split()

UDEV_RULES = """
50-udev-default.rules 55-dm.rules 60-block.rules 60-persistent-storage.rules 60-persistent-storage-dm.rules
60-persistent-storage-partition.rules 61-vedette-root.rules 80-drivers.rules 95-dm-notify.rules 99-systemd.rules
""".split()

# What a root may lie on, what it is made of, and the watchdogs, which are armed from here on.
_MODULES = """
virtio_pci virtio_blk virtio_scsi nvme vmd ahci ata_piix sd_mod usb-storage uas xhci-pci ehci-pci sdhci-pci sdhci-acpi
mmc_block lpc_ich i2c-i801
erofs dm-verity dm-mod loop crc32c sha256 autofs4 efivarfs lz4 zstd tpm_crb tpm_tis i6300esb iTCO_wdt sp5100_tco
""".split()
_LOADED = ("i6300esb", "erofs", "dm-verity")

_LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64", "init": f"{SYSTEMD}/systemd"}
_FOLDERS = "dev proc sys run tmp sysroot etc var usr/bin usr/sbin usr/lib usr/lib64 usr/lib/modules-load.d".split()

# systemd's own would offer a shell, or wait for Enter where no one is.
_EMERGENCY = {
    "emergency.service": """\
[Unit]
Description=The initrd failed: start again, the boot loader counts
DefaultDependencies=no
[Service]
Type=oneshot
StandardOutput=tty
TTYPath=/dev/console
ExecStart=/usr/bin/systemctl reboot --force
""",
    "emergency.target": """\
[Unit]
Description=The initrd failed
DefaultDependencies=no
Requires=emergency.service
After=emergency.service
AllowIsolate=yes
""",
}


def make_initrd(tools: Tools, root: Path, kernel: str, work: Path, target: Path, *, epoch: int) -> None:
    """Make the archive `target` from the root tree.

    Raises:
        StepError: a program failed.
    """
    tree = work / "initrd"
    for name in _FOLDERS:
        (tree / name).mkdir(parents=True)
    for name, goal in _LINKS.items():
        (tree / name).symlink_to(goal)
    libraries = [found.relative_to(root) for name in _LIBRARIES for found in root.glob(f"usr/lib/*/{name}")]
    install_programs(tools, root, tree, [*map(Path, _PROGRAMS), *libraries])
    link_kmod(tree)
    install_units(root, tree)
    install_files(root, tree)
    install_modules(tools, root, tree, kernel)
    set_times(tree, epoch)
    pack(tools, tree, target)


def make_recovery(tools: Tools, root: Path, work: Path, target: Path, *, architecture: str, epoch: int) -> None:
    """Make the archive that, unpacked over the initrd, is the recovery system.

    Raises:
        StepError: a program failed.
    """
    tree = work / "recovery-system"
    shutil.copytree(RECOVERY, tree)
    install_programs(tools, root, tree, map(Path, _RECOVERY_PROGRAMS))
    unit = tree / SYSTEMD / "system/vedette-recovery-system-stick@.service"
    text = unit.read_text(encoding="ascii")
    # systemd takes one backslash away.
    unit.write_text(text.replace("@LOADER@", rf"\\EFI\\BOOT\\{LOADERS[architecture][1]}"), encoding="ascii")
    set_times(tree, epoch)
    pack(tools, tree, target)


def pack(tools: Tools, tree: Path, target: Path) -> None:
    """The archive of a tree, which goes.

    Raises:
        StepError: a program failed.
    """
    names = sorted(str(path.relative_to(tree)) for path in tree.rglob("*"))
    script = 'cpio --null --create --format=newc --reproducible --owner=0:0 --quiet | zstd -q -10 -T1 > "$1"'
    # Nothing in zstd's output depends on the machine with one thread.
    tools.run("sh", "-c", script, "sh", target, folder=tree, stdin="\0".join([".", *names]).encode())
    shutil.rmtree(tree)


def install_programs(tools: Tools, root: Path, tree: Path, programs: Iterable[Path]) -> None:
    """Programs and the libraries they need.

    Raises:
        StepError: one of them is not in the root.
    """
    for path in closure(tools, root, programs):
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / path, tree / path, follow_symlinks=False)


def link_kmod(tree: Path) -> None:
    """The names by which kmod is called."""
    for name in ("modprobe", "insmod"):
        (tree / "usr/sbin" / name).unlink(missing_ok=True)
        (tree / "usr/sbin" / name).symlink_to("../bin/kmod")


def install_units(root: Path, tree: Path) -> None:
    """systemd's units, those that pull them in, and our own emergency."""
    source, target = root / SYSTEMD / "system", tree / SYSTEMD / "system"
    target.mkdir(parents=True, exist_ok=True)
    for name in _UNITS:
        shutil.copy2(source / name, target / name, follow_symlinks=False)
    for name in (
        "sysinit.target.wants",
        "sockets.target.wants",
        "initrd.target.wants",
        "initrd-root-device.target.wants",
    ):
        wants = target / name
        for unit in sorted((source / name).iterdir()) if (source / name).is_dir() else ():
            if (target / unit.name).exists():
                wants.mkdir(exist_ok=True)
                (wants / unit.name).symlink_to(f"../{unit.name}")
    (target / "default.target").symlink_to("initrd.target")
    for name, text in _EMERGENCY.items():
        (target / name).unlink(missing_ok=True)
        (target / name).write_text(text, encoding="ascii")


def install_files(root: Path, tree: Path) -> None:
    """Rules of udev, what the boot stub hands on, names of accounts, the watchdog's settings."""
    rules = tree / "usr/lib/udev/rules.d"
    rules.mkdir(parents=True, exist_ok=True)
    for name in UDEV_RULES:
        if (root / "usr/lib/udev/rules.d" / name).exists():
            shutil.copy2(root / "usr/lib/udev/rules.d" / name, rules / name)
    # Carries the signed TPM policy of the kernel file over to the running system.
    tmpfiles = tree / "usr/lib/tmpfiles.d"
    tmpfiles.mkdir(parents=True, exist_ok=True)
    shutil.copy2(root / "usr/lib/tmpfiles.d/20-systemd-stub.conf", tmpfiles)
    for name in ("usr/lib/initrd-release", "usr/lib/os-release"):
        shutil.copyfile(root / "usr/lib/os-release", tree / name)
        (tree / "etc" / Path(name).name).symlink_to(f"../{name}")
    shutil.copytree(root / SYSTEMD / "system.conf.d", tree / SYSTEMD / "system.conf.d", dirs_exist_ok=True)
    for name in ("passwd", "group"):
        shutil.copyfile(root / "etc" / name, tree / "etc" / name)
    (tree / "etc/machine-id").touch()


def install_modules(tools: Tools, root: Path, tree: Path, kernel: str) -> None:
    """Kernel modules, those they need, and the list of those that are always loaded.

    Raises:
        StepError: depmod failed.
    """
    source, target = root / "usr/lib/modules" / kernel, tree / "usr/lib/modules" / kernel
    target.mkdir(parents=True, exist_ok=True)
    for name in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
        shutil.copyfile(source / name, target / name)
    # -o: some of them are built into the kernel of one architecture and do not exist on another.
    tools.run(DRACUT_INSTALL, "-D", tree, "-r", root, "--kerneldir", source, "-o", "-m", *_MODULES)
    tools.run("depmod", "--basedir", tree, kernel)
    text = "".join(f"{name}\n" for name in _LOADED)
    (tree / "usr/lib/modules-load.d/vedette.conf").write_text(text, encoding="ascii")
    if (root / "usr/lib/modprobe.d").is_dir():
        shutil.copytree(root / "usr/lib/modprobe.d", tree / "usr/lib/modprobe.d", dirs_exist_ok=True)
