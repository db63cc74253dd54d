"""What goes into a bundle: a table, each row with its name, its source, and how long and large it may be.

Rules of this file: a closed list. Nothing is taken that could hold a payload, an alert, a key or somebody's arguments:
no spool files (only their names and sizes), no private parts, of processes their names. The sizes add up to less than a
bundle may have (`MOST_BYTES`), so that no bundle is ever too large; a test adds them.
"""

from __future__ import annotations

import json
import os
import platform
import re
import ssl
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from appliance import __version__
from appliance.support.command import Output, run

KIB = 1024
MOST_BYTES = 18 * 1024 * KIB
"""All pieces together, before compression; the file is then below 20 MB whatever is in them."""

Collect = Callable[[], Output]
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]{1,16384}-----END CERTIFICATE-----")
_MOST_FILES = 4000


@dataclass(frozen=True, slots=True)
class Piece:
    """One file of a bundle. `source` is for people; `public` text has nothing to hide and is taken as it is."""

    name: str
    source: str
    most_bytes: int
    limit_s: float
    collect: Collect
    public: bool = False


def box_pieces(config: Path, state_dir: Path) -> list[Piece]:
    """The pieces of this box."""
    own = (sys.executable, "-m", "appliance") if not sys.flags.isolated else (sys.executable, "-I", "-m", "appliance")
    rows: list[Piece] = [
        _made("versions.json", "this program", 16 * KIB, _versions),
        _ran("status.json", *own, "status", "--json", "--config", str(config), most_kib=1024, fine=(0, 1)),
        _ran("doctor.json", *own, "doctor", "--json", "--config", str(config), most_kib=256, limit_s=90, fine=(0, 1)),
        _read("config/vedette.toml", config, 256, without_remarks=True),
        _read("config/setup.toml", state_dir / "setup.toml", 64, without_remarks=True),
        _made("files.txt", f"names and sizes in {state_dir}", 512 * KIB, partial(_files, state_dir)),
        Piece(
            "certificates.pem", f"{state_dir}/identity", 128 * KIB, 5, partial(_certificates, state_dir), public=True
        ),
        _ran("journal/vedette.txt", *_JOURNAL, "-u", "vedette*", "-n", "20000", most_kib=4096, limit_s=30, tail=True),
        _ran("journal/warnings.txt", *_JOURNAL, "-p", "warning", "-n", "5000", most_kib=1024, limit_s=30, tail=True),
        _ran("journal/kernel.txt", *_JOURNAL, "-k", "-b", "-n", "5000", most_kib=1024, limit_s=30, tail=True),
        # The end of the boot before: why the box started again.
        _ran("journal/boot-before.txt", *_JOURNAL, "-b", "-1", "-n", "3000", most_kib=1024, limit_s=30, tail=True),
        _ran("journal/boots.txt", "journalctl", "--no-pager", "--list-boots", most_kib=64, limit_s=30, tail=True),
        _ran("kernel-ring.txt", "dmesg", most_kib=512, tail=True),
        _ran("units/failed.txt", "systemctl", "--no-pager", "--failed", "--all", "--no-legend"),
        _ran(
            "units/vedette.txt", "systemctl", "--no-pager", "--lines=0", "status", "vedette*", most_kib=256, fine=(0, 3)
        ),
        _ran("units/starts.txt", *_SHOW, "-p", "Id,Result,NRestarts,ExecMainStatus,ActiveEnterTimestamp", "vedette*"),
        _ran("system/start.txt", "systemd-analyze", "--no-pager", "critical-chain"),
        _ran("system/disk.txt", "df", "-h"),
        _ran("system/inodes.txt", "df", "-i"),
        _ran("system/blocks.txt", "lsblk", "-o", "NAME,SIZE,TYPE,FSTYPE,LABEL,PARTLABEL,RO,MOUNTPOINTS"),
        _ran("system/processes.txt", "ps", "-eo", "pid,ppid,user,stat,rss,pcpu,etimes,comm", most_kib=256),
        _ran("system/time.txt", "timedatectl", "show", "--no-pager"),
        *(
            _read(f"system/{name.replace('/', '-')}.txt", Path("/proc") / name, 64)
            for name in ("meminfo", "loadavg", "uptime", "cpuinfo", "cmdline", "pressure/memory", "pressure/io")
        ),
        _ran("network/links.txt", "ip", "-s", "link", most_kib=128),
        _ran("network/addresses.txt", "ip", "addr", most_kib=128),
        _ran("network/routes.txt", "ip", "route", "show", "table", "all", most_kib=128),
        _ran("network/names.txt", "resolvectl", "--no-pager", "status", most_kib=64),
        _ran("update/boot.txt", "bootctl", "--no-pager", "list", most_kib=128),
        _read("update/record.json", Path("/var/lib/vedette-update/record.json"), 64),
        _texts("start/now.txt", Path("/run/vedette-start"), 32),
        _texts("start/kept.txt", Path("/var/lib/vedette-start"), 32),
        # What the kernel said last, where the firmware kept it over a crash.
        _texts("start/crashes.txt", Path("/var/lib/systemd/pstore"), 512),
        _made("tpm.txt", "/sys/class/tpm", 16 * KIB, _tpm),
    ]
    return rows


_JOURNAL = ("journalctl", "--no-pager", "-q", "-o", "short-iso-precise")
_SHOW = ("systemctl", "--no-pager", "show")


def _ran(
    name: str,
    *argv: str,
    most_kib: int = 64,
    limit_s: float = 15,
    tail: bool = False,
    fine: tuple[int, ...] = (0,),
) -> Piece:
    most = most_kib * KIB
    shown = " ".join(argv).replace(sys.executable, "python3")
    return Piece(name, shown, most, limit_s, partial(run, argv, limit_s=limit_s, most_bytes=most, tail=tail, fine=fine))


def _read(name: str, path: Path, most_kib: int, *, without_remarks: bool = False) -> Piece:
    most = most_kib * KIB
    return Piece(name, str(path), most, 5, partial(_file, path, most, without_remarks))


def _texts(name: str, folder: Path, most_kib: int) -> Piece:
    most = most_kib * KIB
    return Piece(name, str(folder), most, 5, partial(_folder, folder, most))


def _made(name: str, source: str, most_bytes: int, collect: Collect) -> Piece:
    return Piece(name, source, most_bytes, 10, collect)


def _file(path: Path, most_bytes: int, without_remarks: bool) -> Output:
    try:
        with open(path, "rb", opener=_opener) as file:
            data = file.read(most_bytes + 1)
    except OSError as error:
        return Output(b"", error=error.strerror or str(error))
    cut = len(data) > most_bytes
    data = data[:most_bytes]
    if without_remarks:
        # People write everything into remarks.
        data = b"\n".join(re.sub(rb"(^|\s)#.*", rb"\1#", line) for line in data.split(b"\n"))
    return Output(data, cut)


def _opener(path: str, flags: int) -> int:
    """A file itself: root makes bundles, and a link in the sensor's folder would lend root's eyes to the sensor."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _folder(folder: Path, most_bytes: int) -> Output:
    """Small files one after the other, each below its name; the newest first."""
    made = bytearray()
    try:
        found = [(path, path.lstat()) for path in folder.rglob("*")]
        found = [(path, seen) for path, seen in found if stat.S_ISREG(seen.st_mode)][:_MOST_FILES]
        for path, _ in sorted(found, key=lambda row: -row[1].st_mtime):
            if len(made) > most_bytes:
                break
            with open(path, "rb", opener=_opener) as file:
                made += f"== {path.relative_to(folder)}\n".encode() + file.read(most_bytes) + b"\n"
        if not folder.is_dir():
            return Output(b"", error="not there")
    except OSError as error:
        return Output(bytes(made[:most_bytes]), error=f"{error.filename}: {error.strerror}")
    return Output(bytes(made[:most_bytes]), cut=len(made) > most_bytes)


def _versions() -> Output:
    told = {
        "vedette": __version__,
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
        "kernel": platform.release(),
        "machine": platform.machine(),
        "os": _os_release(),
    }
    return Output(json.dumps(told, indent=1).encode())


def _os_release() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError as error:
        return {"error": str(error)}


def _files(state_dir: Path) -> Output:
    """A line each: mode, owner, size, time of the last change, name."""
    lines = []
    try:
        for path, found in _walked(state_dir):
            at = datetime.fromtimestamp(found.st_mtime, UTC)
            lines.append(
                f"{stat.filemode(found.st_mode)} {found.st_uid:>5} {found.st_size:>12} {at:%Y-%m-%dT%H:%M:%SZ}"
                f" {path.relative_to(state_dir)}"
            )
    except OSError as error:
        return Output("\n".join(lines).encode(), error=f"{error.filename}: {error.strerror}")
    return Output("\n".join(lines).encode("utf-8", "backslashreplace"), cut=len(lines) >= _MOST_FILES)


def _walked(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    left = _MOST_FILES
    for where, folders, names in os.walk(folder, onerror=_raise):
        for name in sorted([*folders, *names]):
            if left <= 0:
                return
            left -= 1
            path = Path(where) / name
            yield path, path.lstat()


def _raise(error: OSError) -> None:
    raise error


def _certificates(state_dir: Path) -> Output:
    """The certificates in the identity's PEM files, and nothing else of them."""
    found: list[bytes] = []
    identity = state_dir / "identity"
    try:
        paths = sorted(path for path in identity.rglob("*.pem") if path.name in ("ca.pem", "cert.pem"))
        for path in paths[:20]:
            with open(path, "rb", opener=_opener) as file:
                blocks = _CERTIFICATE.findall(file.read(256 * KIB))
            found += [f"# {path.relative_to(identity)}\n".encode() + block + b"\n" for block in blocks]
    except OSError as error:
        return Output(b"".join(found), error=f"{error.filename}: {error.strerror}")
    return Output(b"".join(found), error="" if found else f"{identity}: no certificates")


def _tpm() -> Output:
    lines = []
    for folder in sorted(Path("/sys/class/tpm").glob("tpm*")):
        version = _text(folder / "tpm_version_major")
        lines.append(f"{folder.name}: version {version}, {_text(folder / 'device/description')}")
    return Output("\n".join(lines).encode(), error="" if lines else "no TPM")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return "?"
