"""The root file system and its hash tree as files, and the root hash that names both.

Rules of this file: systemd-repart works offline: no loop device, no mapper, no mount.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from appliance.wire.bundle import IMAGE_ID
from image.errors import StepError
from image.layout import REPART_SEED, ROOT_MIB, ROOT_TYPES, VERITY_MIB, Slot
from image.tools import Tools

_VERITY = f"""\
[Partition]
Type={{kind}}-verity
Verity=hash
VerityMatchKey=root
SizeMinBytes={VERITY_MIB}M
SizeMaxBytes={VERITY_MIB}M
"""
_ROOT = f"""\
[Partition]
Type={{kind}}
Format=erofs
CopyFiles=/
Verity=data
VerityMatchKey=root
SizeMinBytes={ROOT_MIB}M
SizeMaxBytes={ROOT_MIB}M
"""


@dataclass(frozen=True, slots=True)
class SlotFiles:
    """A slot and the files of its two partitions."""

    slot: Slot
    root: Path
    verity: Path


def make_slot(tools: Tools, tree: Path, work: Path, *, version: str, architecture: str, epoch: int) -> SlotFiles:
    """The root tree as two partition images in `work`.

    Raises:
        StepError: systemd-repart failed, e.g. because the tree does not fit into its slot.
    """
    definitions = work / "verity.repart"
    definitions.mkdir()
    kind = ROOT_TYPES[architecture]
    (definitions / "10-root-verity.conf").write_text(_VERITY.format(kind=kind), encoding="ascii")
    (definitions / "11-root.conf").write_text(_ROOT.format(kind=kind), encoding="ascii")
    told = tools.run(
        *("systemd-repart", "--offline=yes", "--empty=create", "--size=auto", "--dry-run=no", "--split=yes"),
        *(f"--seed={REPART_SEED}", f"--definitions={definitions}", f"--root={tree}", f"--copy-source={tree}"),
        *("--json=short", "--no-pager", work / f"{IMAGE_ID}.raw"),
        environment={"SOURCE_DATE_EPOCH": str(epoch)},
    )
    (work / f"{IMAGE_ID}.raw").unlink()
    hashes = {row["roothash"] for row in json.loads(told) if row.get("roothash") not in (None, "", "TBD")}
    if len(hashes) != 1:
        raise StepError(f"systemd-repart told root hashes {sorted(hashes)}, one was allowed")
    slot = Slot(version, hashes.pop())
    root = (work / f"{IMAGE_ID}.{kind}.raw").rename(work / slot.root_file)
    verity = (work / f"{IMAGE_ID}.{kind}-verity.raw").rename(work / slot.verity_file)
    return SlotFiles(slot, root, verity)
