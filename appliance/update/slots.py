"""Which of the two slots runs and which is spare, and what the spare one is called at each stage.

Rules of this file: pure. The running slot is the one that the verified root hash names, never the one that a label
claims; without certainty about it nothing is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from appliance.update.errors import DiskFault
from appliance.update.gpt import Naming, Partition
from appliance.wire.bundle import Manifest

# (root, its hash tree): Discoverable Partitions Specification.
_TYPES = {
    "amd64": (UUID("4f68bce3-e8cd-4db1-96e7-fbcaf984b709"), UUID("2c7357ed-ebd2-46d9-aec1-23d437ec2bf5")),
    "arm64": (UUID("b921b045-1df0-41c3-af44-4c6f280d3fae"), UUID("df3300ce-d69f-4c92-978c-9bfb0f38d820")),
}
EMPTY = "_empty"


class Slot(NamedTuple):
    """A root and its hash tree."""

    root: Partition
    verity: Partition


class Slots(NamedTuple):
    """Both."""

    running: Slot
    spare: Slot


def find_slots(partitions: Sequence[Partition], architecture: str, root_hash: str) -> Slots:
    """The two slots of a disk; `root_hash` (hex) is the one that the running kernel was started with.

    Raises:
        DiskFault: there are not two, or the running one is not among them.
    """
    root_type, verity_type = _TYPES[architecture]
    roots = [p for p in partitions if p.type == root_type]
    verities = [p for p in partitions if p.type == verity_type]
    if len(roots) != 2 or len(verities) != 2:
        raise DiskFault(
            f"disk: {len(roots)} roots and {len(verities)} hash trees came, two of each were allowed",
            advice="Is this a box with Vedette's image? The second slots are made at its first start.",
        )
    wanted = (UUID(root_hash[:32]), UUID(root_hash[32:]))
    running = [(r, v) for r in roots for v in verities if (r.uuid, v.uuid) == wanted]
    if len(running) != 1:
        raise DiskFault("disk: no slot has the root hash that runs; nothing is written")
    root, verity = running[0]
    spare = Slot(next(r for r in roots if r is not root), next(v for v in verities if v is not verity))
    return Slots(Slot(root, verity), spare)


def emptied(slots: Slots, root_uuid: UUID, verity_uuid: UUID) -> dict[int, Naming]:
    """The spare slot as one that nothing starts from; the identifiers are new ones."""
    spare = slots.spare
    return {
        spare.root.number: Naming(root_uuid, EMPTY, slots.running.root.attributes),
        spare.verity.number: Naming(verity_uuid, EMPTY, slots.running.verity.attributes),
    }


def filled(slots: Slots, manifest: Manifest) -> dict[int, Naming]:
    """The spare slot as that of a bundle."""
    spare = slots.spare
    return {
        spare.root.number: Naming(manifest.root_uuid, manifest.root_label, slots.running.root.attributes),
        spare.verity.number: Naming(manifest.verity_uuid, manifest.verity_label, slots.running.verity.attributes),
    }


def version_of(slot: Slot) -> str:
    """The version that a slot's label names; empty when it is empty."""
    return slot.root.label.partition("_")[2] if slot.root.label.startswith("vedette_") else ""
