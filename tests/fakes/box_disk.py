"""A box's disk as a file and its ESP as a folder, with version 1 in slot A, and bundles to try on it."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID
from zlib import crc32

import zstandard
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from appliance.update.disk import Disk
from appliance.update.entries import Entry
from appliance.update.esp import FOLDER, Esp
from appliance.update.install import Box, Order, install
from appliance.update.memory import Memory
from appliance.update.record import Record
from appliance.update.trust import Standing, UpdateKeys
from appliance.wire.bundle import PART_NAMES, Manifest, Part, version_key, write_head

SECTOR = 512
DISK_SECTORS = 4096
ESP_TYPE = UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
ROOT_TYPE = UUID("4f68bce3-e8cd-4db1-96e7-fbcaf984b709")
VERITY_TYPE = UUID("2c7357ed-ebd2-46d9-aec1-23d437ec2bf5")
# (type, first sector, sectors): as image/layout.py orders them, only smaller.
PARTITIONS = (
    (ESP_TYPE, 64, 64),
    (VERITY_TYPE, 128, 32),
    (ROOT_TYPE, 160, 512),
    (VERITY_TYPE, 672, 32),
    (ROOT_TYPE, 704, 512),
)

RECOVERY = "recovery"


class PowerCut(BaseException):
    """The power went: no code of the box may catch it."""


def root_hash(version: str) -> str:
    """What the root hash of a version is here."""
    return hashlib.sha256(version.encode()).hexdigest()


def content(version: str, name: str) -> bytes:
    """What a part of a version is."""
    sizes = {"verity": 9_000, "root": 200_000, "uki": 30_000}
    block = hashlib.sha256(f"{version} {name}".encode()).digest()
    return (block * (sizes[name] // len(block) + 1))[: sizes[name]]


@dataclass
class Maker:
    """Who makes bundles."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def public(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def keys(self) -> UpdateKeys:
        return UpdateKeys.parse([("maker", self.public())])

    def bundle(
        self,
        path: Path,
        version: str,
        *,
        floor: str = "1",
        architecture: str = "amd64",
        padding: int = 0,
    ) -> Path:
        """Make a bundle; `padding`: so many bytes more, which say nothing (RFC 8878, 3.1.2)."""
        packed = {
            name: zstandard.ZstdCompressor(write_content_size=False).compress(content(version, name))
            for name in PART_NAMES
        }
        if padding:
            packed["uki"] += struct.pack("<II", 0x184D2A50, padding) + bytes(padding)
        parts = tuple(
            Part(
                name,
                len(content(version, name)),
                len(packed[name]),
                hashlib.sha256(content(version, name)).hexdigest(),
            )
            for name in PART_NAMES
        )
        manifest = Manifest(architecture, version, floor, root_hash(version), 10**18, parts).to_json()
        signature = self.key.sign(manifest, ec.ECDSA(hashes.SHA256()))
        path.write_bytes(write_head(manifest, signature) + b"".join(packed[name] for name in PART_NAMES))
        return path


class BoxDisk:
    """The box; its power may be cut before the nth write."""

    def __init__(self, folder: Path, maker: Maker, version: str = "1") -> None:
        self.folder, self.maker = folder, maker
        self.running, self.floor, self.live = version, "1", False
        self.writes_left: int | None = None
        self.writes = 0
        (folder / "esp" / FOLDER).mkdir(parents=True)
        (folder / "memory").mkdir()
        self.path = folder / "disk"
        self.path.write_bytes(_disk(version))
        (folder / "esp" / FOLDER / Entry(version).name).write_bytes(content(version, "uki"))

    def on_write(self) -> None:
        self.writes += 1
        if self.writes_left is not None:
            if self.writes_left == 0:
                raise PowerCut
            self.writes_left -= 1

    def box(self) -> Box:
        return Box(
            disk=lambda: Disk(self.path, on_write=self.on_write),
            esp=Esp(self.folder / "esp", on_write=self.on_write),
            memory=Memory(self.folder / "memory"),
            keys=self.maker.keys(),
            standing=Standing("amd64", self.running, self.floor, self.live),
            root_hash=root_hash(self.running),
        )

    @property
    def memory(self) -> Memory:
        return self.box().memory

    def install(self, path: Path, order: Order | None = None) -> Record:
        return install(
            path, self.box(), order or Order(), now_ns=5, random=lambda n: b"\x07" * n, on_progress=lambda *_: None
        )

    def tries(self, version: str) -> int | None:
        """What the boot loader still gives a version."""
        return next(entry.left for entry in self.box().esp.entries() if entry.version == version)

    def boot_loader(self) -> Entry | None:
        """What the boot loader starts, with one try taken from it; none when it starts the recovery system.

        That one's entry is not counted and last by its sort key: after all with tries left, before all without.
        """
        left = [entry for entry in self.box().esp.entries() if not entry.exhausted]
        return self._counted(max(left, key=lambda entry: version_key(entry.version))) if left else None

    def recovery_system(self) -> Entry:
        """What the recovery system has started after five minutes: the newest, whatever its count."""
        return self._counted(max(self.box().esp.entries(), key=lambda entry: version_key(entry.version)))

    def _counted(self, entry: Entry) -> Entry:
        if entry.left is None:
            return entry
        started = Entry(entry.version, max(0, entry.left - 1), entry.done + 1)
        Esp(self.folder / "esp").rename(entry, started)
        return started

    def start(self) -> str:
        """Firmware, boot loader, root: the version that runs then, or `RECOVERY`; what it starts must be whole."""
        self.writes_left = None
        entry = self.boot_loader()
        return RECOVERY if entry is None else self.run(entry)

    def run(self, entry: Entry) -> str:
        """A kernel file is started; what it needs must be whole."""
        kernel = (self.folder / "esp" / FOLDER / entry.name).read_bytes()
        assert kernel == content(entry.version, "uki"), f"{entry.name}: another kernel file"
        with Disk(self.path) as disk:
            table = disk.table()
        digest = root_hash(entry.version)
        data = self.path.read_bytes()
        for name, half in (("root", digest[:32]), ("verity", digest[32:])):
            found = [p for p in table.partitions() if p.uuid == UUID(half)]
            assert len(found) == 1, f"{entry.version}: {len(found)} partitions for its {name}"
            wanted = content(entry.version, name)
            at = found[0].first_lba * SECTOR
            assert data[at : at + len(wanted)] == wanted, f"{entry.version}: another {name}"
        self.running = entry.version
        return self.running


def _disk(version: str) -> bytes:
    data = bytearray(DISK_SECTORS * SECTOR)
    digest = root_hash(version)
    uuids = [UUID(int=1), UUID(digest[32:]), UUID(digest[:32]), UUID(int=4), UUID(int=5)]
    labels = ["esp", f"vedette_{version}_verity", f"vedette_{version}", "_empty", "_empty"]
    entries = bytearray(128 * 128)
    for number, ((kind, first, sectors), uuid, label) in enumerate(zip(PARTITIONS, uuids, labels, strict=True)):
        encoded = label.encode("utf-16-le")
        struct.pack_into(
            *("<16s16sQQQ72s", entries, number * 128, kind.bytes_le, uuid.bytes_le),
            *(first, first + sectors - 1, 1 << 60, encoded),
        )
    for my, other, at in ((1, DISK_SECTORS - 1, 2), (DISK_SECTORS - 1, 1, DISK_SECTORS - 33)):
        fields = [b"EFI PART", 0x10000, 92, 0, 0, my, other, 34, DISK_SECTORS - 34, UUID(int=9).bytes_le, at, 128, 128]
        header = struct.pack("<8sIIIIQQQQ16sQIII", *fields, crc32(entries))
        fields[3] = crc32(header)
        header = struct.pack("<8sIIIIQQQQ16sQIII", *fields, crc32(entries))
        data[my * SECTOR : my * SECTOR + len(header)] = header
        data[at * SECTOR : at * SECTOR + len(entries)] = entries
    for name, (_, first, _) in (("verity", PARTITIONS[1]), ("root", PARTITIONS[2])):
        part = content(version, name)
        data[first * SECTOR : first * SECTOR + len(part)] = part
    return bytes(data)
