"""The update bundle: one file that holds a whole new system, and what it says of itself.

    magic "VEDUPD01" | u32 manifest length | u32 signature length | manifest | signature | verity | root | uki

Numbers are big-endian; the manifest is JSON, the signature ECDSA over P-256 with SHA-256 (DER) of the manifest's bytes,
the parts are zstd frames, one after another, as long as the manifest says.

Rules of this file: pure; bytes in, a value or `BundleError` out, in bounded time. It says what a bundle is and never
whose: trust is the box's business (`appliance.update`). Names of partitions and files follow from version and root
hash alone, so that no name in a bundle reaches a disk. The image builder writes it, collector and box read it.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from appliance.wire.fields import Fields, SessionError, dump_object, format_clock, load_object, parse_clock

MAGIC = b"VEDUPD01"
_HEAD = struct.Struct(">8sII")
HEAD_BYTES = _HEAD.size
MAX_MANIFEST_BYTES = 16 * 1024
MAX_SIGNATURE_BYTES = 512
MAX_PART_BYTES = 2 * 1024**3
MAX_BUNDLE_BYTES = 2 * 1024**3
WINDOW_LOG = 23
"""zstd's window: 8 MiB is all that a box sets aside for unpacking (RFC 8878, 3.1.1.1.2)."""

IMAGE_ID = "vedette"
ARCHITECTURES = ("amd64", "arm64")
PART_NAMES = ("verity", "root", "uki")
"""In the order in the file and on the way to the disk: what makes the others bootable comes last."""

# Numbers only: one order for us and for the boot loader (UAPI.10 Version Format). 20 characters: a partition's label
# has 36, of which "vedette_" and "_verity" take 15.
_VERSION = re.compile(r"(?=.{1,20}\Z)(0|[1-9][0-9]{0,8})(\.(0|[1-9][0-9]{0,8})){0,3}(-(0|[1-9][0-9]{0,8}))?", re.ASCII)
HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)


class BundleError(Exception):
    """The bytes are not a bundle, or not whole; says what came and what was allowed."""

    def __init__(self, what: str, *, came: str, allowed: str) -> None:
        self.what, self.came, self.allowed = what, came, allowed
        super().__init__(f"{what}: came {came}, allowed {allowed}")


class Lengths(NamedTuple):
    """What a bundle's head says."""

    manifest_bytes: int
    signature_bytes: int


@dataclass(frozen=True, slots=True)
class Part:
    """One of `PART_NAMES`: how large it is unpacked and in the file, and the SHA-256 (hex) of it unpacked."""

    name: str
    size_bytes: int
    stored_bytes: int
    sha256: str


class SlotNames:
    """What the partitions of a system are called, by its version and root hash."""

    __slots__ = ()
    version: str
    root_hash: str

    @property
    def root_uuid(self) -> UUID:
        """PARTUUID of the root: the first half of the root hash (Discoverable Partitions Specification)."""
        return UUID(self.root_hash[:32])

    @property
    def verity_uuid(self) -> UUID:
        """PARTUUID of the hash tree: the second half of the root hash."""
        return UUID(self.root_hash[32:])

    @property
    def root_label(self) -> str:
        """Partition label of the root."""
        return f"{IMAGE_ID}_{self.version}"

    @property
    def verity_label(self) -> str:
        """Partition label of the hash tree."""
        return f"{IMAGE_ID}_{self.version}_verity"


@dataclass(frozen=True, slots=True)
class Manifest(SlotNames):
    """What a bundle says of itself; `security_floor`: below this version nothing may be installed after this one."""

    architecture: str
    version: str
    security_floor: str
    root_hash: str
    made_ns: int
    parts: tuple[Part, ...]

    @property
    def stored_bytes(self) -> int:
        """All parts as they are in the file."""
        return sum(part.stored_bytes for part in self.parts)

    def to_json(self) -> bytes:
        """The bytes that are signed.

        Raises:
            BundleError: a value is out of its bounds, so a box would refuse it.
        """
        parts = [
            {"name": p.name, "size_bytes": p.size_bytes, "stored_bytes": p.stored_bytes, "sha256": p.sha256}
            for p in self.parts
        ]
        data = dump_object(
            {
                "schema": 1,
                "image": IMAGE_ID,
                "architecture": self.architecture,
                "version": self.version,
                "security_floor": self.security_floor,
                "root_hash": self.root_hash,
                "made": format_clock(self.made_ns),
                "parts": parts,
            }
        )
        Manifest.from_json(data)
        return data

    @staticmethod
    def from_json(data: bytes) -> Manifest:
        """Read a manifest.

        Raises:
            BundleError: too large, not JSON, another schema, a field missing or out of its bounds, other parts.
        """
        try:
            return _read(load_object("manifest", data, MAX_MANIFEST_BYTES))
        except SessionError as error:
            raise BundleError(error.what, came=error.came, allowed=error.allowed) from None


def _read(fields: Fields) -> Manifest:
    fields.integer("schema", low=1, high=1)
    fields.text("image", 16, re.compile(IMAGE_ID))
    parts = tuple(_part(item) for item in fields.objects("parts", len(PART_NAMES)))
    if tuple(part.name for part in parts) != PART_NAMES:
        names = ", ".join(part.name for part in parts)
        raise SessionError("manifest.parts", came=names or "none", allowed=", ".join(PART_NAMES))
    manifest = Manifest(
        architecture=fields.text("architecture", 16, re.compile("|".join(ARCHITECTURES))),
        version=fields.text("version", 20, _VERSION),
        security_floor=fields.text("security_floor", 20, _VERSION),
        root_hash=fields.text("root_hash", 64, HASH),
        made_ns=parse_clock("manifest.made", fields.text("made", 40)),
        parts=parts,
    )
    if version_key(manifest.security_floor) > version_key(manifest.version):
        allowed = f"at most the version itself, {manifest.version}"
        raise SessionError("manifest.security_floor", came=manifest.security_floor, allowed=allowed)
    return manifest


def _part(fields: Fields) -> Part:
    return Part(
        name=fields.text("name", 16),
        size_bytes=fields.integer("size_bytes", low=1, high=MAX_PART_BYTES),
        stored_bytes=fields.integer("stored_bytes", low=1, high=MAX_PART_BYTES),
        sha256=fields.text("sha256", 64, HASH),
    )


def is_version(text: str) -> bool:
    """Whether the text is a version as bundles have it."""
    return _VERSION.fullmatch(text) is not None


def version_key(version: str) -> tuple[tuple[int, ...], int]:
    """For comparing versions: numbers by value, more of them later, a `-N` after none (UAPI.10 Version Format).

    Raises:
        BundleError: it is no version.
    """
    if not is_version(version):
        raise BundleError("version", came=repr(version[:40]), allowed="a version such as 0.1.0 or 0.1.0-2")
    numbers, dash, release = version.partition("-")
    return tuple(map(int, numbers.split("."))), int(release) if dash else -1


def write_head(manifest: bytes, signature: bytes) -> bytes:
    """What stands before the parts.

    Raises:
        BundleError: one of the two is empty or too large.
    """
    head = _HEAD.pack(MAGIC, len(manifest), len(signature))
    read_head(head)
    return head + manifest + signature


def read_head(data: bytes) -> Lengths:
    """The first `HEAD_BYTES` of a bundle.

    Raises:
        BundleError: fewer bytes, another magic, or lengths out of bounds.
    """
    if len(data) != HEAD_BYTES:
        raise BundleError("bundle", came=f"{len(data)} bytes", allowed=f"a head of {HEAD_BYTES}")
    magic, manifest_bytes, signature_bytes = _HEAD.unpack(data)
    if magic != MAGIC:
        raise BundleError("bundle", came=repr(magic), allowed=f"{MAGIC!r} at its start")
    for what, came, most in (
        ("manifest", manifest_bytes, MAX_MANIFEST_BYTES),
        ("signature", signature_bytes, MAX_SIGNATURE_BYTES),
    ):
        if not 1 <= came <= most:
            raise BundleError(f"bundle.{what}", came=f"{came} bytes", allowed=f"1 to {most}")
    return Lengths(manifest_bytes, signature_bytes)
