"""The command line of `vedette-flash`: arguments, the question, and what is told.

Rules of this file: it picks the disk, shows what would be lost and asks; which disks are refused is `disk.py`'s, how a
stick is made is `flasher.py`'s. Results for programs go to standard output, everything else to standard error.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from image.flash.disk import Disk, as_json, described, refusals, shown_size
from image.flash.errors import DiskRefusedError, FlashError, HostError, NotConfirmedError, StickDiffersError, UsageError
from image.flash.fat16 import DosTime
from image.flash.flasher import LEFT, Flasher, Stage
from image.flash.image_file import SUMS_NAME, ImageFile, listed_sum
from image.flash.linux import Linux
from image.flash.macos import MacOs
from image.flash.medium import Medium
from image.flash.progress import Progress
from image.flash.settings import SETUP_NAME, Settings, load_settings
from image.flash.windows import Windows

INTERRUPTED = 130
_BETWEEN_LINES_S = 1.0

EPILOG = f"""\
examples:
  vedette-flash --list                                     the sticks in this computer
  vedette-flash vedette-install_1.0.raw.zst                write the only stick there is, after a question
  vedette-flash IMAGE --disk sdb --settings ./berlin       a certain one, with the settings for one box
  vedette-flash IMAGE --disk sdb --verify-only             compare a stick with the image later

The image is checked against {SUMS_NAME} beside it. --settings takes the folder that the provider's
`vedette-collector token new --stick FOLDER` wrote {SETUP_NAME} to. On Linux and macOS start it with sudo, on Windows
in a terminal that was opened as administrator.

exit codes:
  0  done
  1  the stick differs from the image, or the question was not answered with yes
  2  arguments, image, settings or disk cannot be used; nothing was written unless the message says so
  4  this computer or the stick cannot do it (right missing, stick pulled, full or broken)
  130  interrupted (Ctrl-C)
"""


class Platform(Protocol):
    """What differs from system to system."""

    def disks(self) -> list[Disk]:
        """All disks."""

    def release(self, disk: Disk) -> None:
        """Let go of what is mounted."""

    def raw_path(self, disk: Disk) -> str:
        """What is opened."""

    def settle(self, disk: Disk) -> None:
        """After the last byte."""


def this_platform() -> Platform:
    """That of the computer it runs on.

    Raises:
        HostError: one that is not known.
    """
    if sys.platform == "linux":
        return Linux()
    if sys.platform == "darwin":
        return MacOs()
    if sys.platform == "win32":
        return Windows()
    raise HostError(f"{sys.platform} came; Linux, macOS and Windows are known", advice="any dd-like program does")


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="vedette-flash",
        description="Write the sensor's image onto a USB stick, check it, and add the settings for one box.",
        epilog=EPILOG,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, width=110, max_help_position=28),
    )
    parser.add_argument("image", metavar="IMAGE", nargs="?", type=Path, help="a .raw or .raw.zst file")
    parser.add_argument("--disk", metavar="DISK", help="name or path of the stick (default: the only one there is)")
    parser.add_argument("--settings", metavar="DIR", type=Path, help=f"folder with {SETUP_NAME}, or the file itself")
    parser.add_argument("--sums", metavar="FILE", type=Path, help=f"list of sums (default: {SUMS_NAME} beside IMAGE)")
    parser.add_argument("--sha256", metavar="HEX", help="the sum of IMAGE, as the provider said it")
    parser.add_argument("--no-sum", action="store_true", help="take IMAGE unchecked")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="list removable disks and what is on them")
    what.add_argument("--dry-run", action="store_true", help="check everything, write nothing")
    what.add_argument("--verify-only", action="store_true", help="compare the stick with IMAGE; settings are left out")
    parser.add_argument("--all", action="store_true", help="with --list: every disk, and why it is refused")
    parser.add_argument("--large", action="store_true", help="also take a disk of more than 256 GiB")
    parser.add_argument("--yes", action="store_true", help="do not ask; needs --disk")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def main(argv: Sequence[str] | None = None, platform: Platform | None = None) -> int:
    """Run; returns the exit code."""
    args = build_parser().parse_args(argv)
    try:
        return _run(args, platform or this_platform())
    except FlashError as error:
        tell(f"vedette-flash: {error}")
        if error.advice:
            tell(f"               {error.advice}")
        if args.json:
            print(json.dumps({"error": str(error), "advice": error.advice, "exit_code": error.exit_code}))
        return error.exit_code
    except KeyboardInterrupt:
        tell("vedette-flash: interrupted")
        return INTERRUPTED


def tell(text: str) -> None:
    """A line for a person."""
    print(text, file=sys.stderr, flush=True)


def _run(args: argparse.Namespace, platform: Platform) -> int:
    if args.list:
        return _list(args, platform)
    if args.image is None:
        raise UsageError("no image came", advice="vedette-flash IMAGE, or --list to see the sticks; --help explains")
    if args.yes and not args.disk:
        raise UsageError("--yes came without --disk", advice="name the disk that may be overwritten without a question")
    settings = load_settings(args.settings) if args.settings else None
    image = _image(args)
    disk = _pick(args, platform.disks(), image)
    if args.verify_only:
        return _verify(args, platform, disk, image)
    _show(disk, image, settings)
    if args.dry_run:
        tell("dry run: nothing was written")
        if args.json:
            print(json.dumps({"disk": as_json(disk, []), "image": str(image.path), "written": False}))
        return 0
    if not args.yes:
        _ask(disk)
    # Sticks are changed while people think.
    if disk.identity not in [found.identity for found in platform.disks()]:
        raise DiskRefusedError(f"{disk.path} is another disk now", advice="start again and look at the list")
    return _flash(args, platform, disk, image, settings)


def _list(args: argparse.Namespace, platform: Platform) -> int:
    disks = [disk for disk in platform.disks() if args.all or (disk.removable and disk.size_bytes)]
    if args.json:
        print(json.dumps({"disks": [as_json(disk, refusals(disk, large=args.large)) for disk in disks]}, indent=1))
        return 0
    for disk in disks:
        print("\n".join(described(disk)))
        for reason in refusals(disk, large=args.large):
            print(f"    refused: {reason}")
    if not disks:
        tell("no removable disk; plug a stick in, or --all for the others")
    return 0


def _image(args: argparse.Namespace) -> ImageFile:
    image = ImageFile(args.image)
    if args.no_sum:
        tell(f"{image.path.name}: not checked")
        wanted = ""
    else:
        wanted = args.sha256 or listed_sum(args.sums or image.path.with_name(SUMS_NAME), image.path.name)
    image.check(wanted)
    _ = image.table
    return image


def _pick(args: argparse.Namespace, disks: list[Disk], image: ImageFile) -> Disk:
    def reasons(disk: Disk) -> list[str]:
        return refusals(disk, image_bytes=image.size_bytes, large=args.large)

    if not args.disk:
        fit = [disk for disk in disks if not reasons(disk)]
        if len(fit) == 1:
            return fit[0]
        names = ", ".join(f"{disk.path} ({disk.model}, {shown_size(disk.size_bytes)})" for disk in fit) or "none"
        raise UsageError(
            f"sticks that could be written: {names}",
            advice="name one: --disk" if fit else "plug one in; --list --all says what is there and why it is refused",
        )
    paths = {args.disk, os.path.realpath(args.disk)}
    for disk in disks:
        if disk.name == args.disk or disk.path in paths:
            # A stick that is only read may be whatever it is.
            found = [] if args.verify_only and disk.size_bytes >= image.size_bytes else reasons(disk)
            if found:
                raise DiskRefusedError(f"{disk.path}: {'; '.join(found)}", advice="--list shows what can be written")
            return disk
        if any(
            part.name == args.disk or os.path.basename(path) == part.name for part in disk.partitions for path in paths
        ):
            raise DiskRefusedError(
                f"{args.disk}: a partition came, a whole disk was allowed", advice=f"--disk {disk.name}"
            )
    raise DiskRefusedError(
        f"{args.disk}: no such disk; there are {', '.join(disk.name for disk in disks) or 'none'}",
        advice="--list shows what can be written",
    )


def _show(disk: Disk, image: ImageFile, settings: Settings | None) -> None:
    tell(f"image     {image.path.name}, {shown_size(image.size_bytes)}")
    if settings is not None:
        who = f" for {settings.who}, install = {settings.install}" if settings.checked else ", for the box to check"
        tell(f"settings  {settings.path}{who}")
        if settings.install == "unattended":
            tell("          the box that starts from it is overwritten without a question")
    tell("stick     " + "\n          ".join(described(disk)))
    tell(
        "          everything on it will be lost" if disk.partitions or disk.mounts else "          nothing known on it"
    )


def _ask(disk: Disk) -> None:
    if not sys.stdin.isatty():
        raise NotConfirmedError("nobody is there to ask", advice="--yes --disk NAME writes without a question")
    tell(f"Type {disk.name} to overwrite it, anything else to stop:")
    if sys.stdin.readline().strip() != disk.name:
        raise NotConfirmedError("not confirmed, nothing was written")


def _flash(
    args: argparse.Namespace, platform: Platform, disk: Disk, image: ImageFile, settings: Settings | None
) -> int:
    start_s = time.monotonic()
    platform.release(disk)
    with Medium(platform.raw_path(disk), disk.size_bytes, write=True) as medium:
        flasher = Flasher(medium, image, _progress(start_s))
        try:
            flasher.flash(settings, _now())
        except (FlashError, KeyboardInterrupt):
            tell("")
            tell(f"broken off at {flasher.stage.value}: {LEFT[flasher.stage]}")
            raise
    tell("")
    try:
        platform.settle(disk)
    except FlashError as error:
        tell(f"note: {error}")
    seconds = round(time.monotonic() - start_s, 1)
    if settings is not None:
        tell(f"the token is on the stick now; {settings.path} still holds it too: delete it")
    tell(f"done in {seconds} s: written, read back and the same. Pull the stick out and plug it into the box.")
    if args.json:
        told = {
            "disk": disk.path,
            "image": str(image.path),
            "sha256": image.sum_hex,
            "size_bytes": image.size_bytes,
            "written": True,
            "verified": True,
            "settings": None if settings is None else SETUP_NAME,
            "seconds": seconds,
        }
        print(json.dumps(told))
    return 0


def _verify(args: argparse.Namespace, platform: Platform, disk: Disk, image: ImageFile) -> int:
    with Medium(platform.raw_path(disk), disk.size_bytes, write=False) as medium:
        difference = Flasher(medium, image, _progress(time.monotonic())).compare()
    tell("")
    if difference is not None:
        raise StickDiffersError(
            f"{disk.path} differs from {image.path.name} at byte {difference.offset_bytes} ({difference.where})",
            advice="write it again",
        )
    tell(f"{disk.path} is {image.path.name}, byte for byte but for its settings")
    if args.json:
        print(json.dumps({"disk": disk.path, "image": str(image.path), "verified": True}))
    return 0


def _progress(start_s: float) -> Callable[[Stage, int, int], None]:
    """Lines that overwrite each other on a terminal, and follow each other in a file."""
    shown: dict[str, Progress] = {}
    last_s = [start_s]

    def on_bytes(stage: Stage, more: int, total: int) -> None:
        now_s = time.monotonic()
        progress = shown.setdefault(stage.value, Progress(stage.value, total, now_s))
        progress.add(more, now_s)
        whole = progress.done_bytes >= total
        if now_s - last_s[0] >= _BETWEEN_LINES_S or whole:
            last_s[0] = now_s
            end = "\n" if whole or not sys.stderr.isatty() else "\r"
            print(f"{progress.line(now_s):<78}", end=end, file=sys.stderr, flush=True)

    return on_bytes


def _now() -> DosTime:
    """A stick's folder has local time (FAT specification 1.03)."""
    now = datetime.now().astimezone()
    return (now.year, now.month, now.day, now.hour, now.minute, now.second)
