"""The bill of materials: every Debian package and every distribution of ours in the image, as CycloneDX 1.6 JSON.

Rules of this file: it reads what dpkg and the wheels say of themselves; it sorts, and takes the time as an argument.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.parser import Parser
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

from appliance.wire.bundle import IMAGE_ID


@dataclass(frozen=True, slots=True)
class Package:
    """A Debian package as dpkg's status file has it."""

    name: str
    version: str
    architecture: str
    source: str

    def component(self) -> dict[str, Any]:
        """As CycloneDX has it; the identifier is a package URL (purl-spec, type deb)."""
        where = f"arch={self.architecture}&distro=debian-13"
        purl = f"pkg:deb/debian/{quote(self.name)}@{quote(self.version, safe='')}?{where}"
        return {
            "type": "library",
            "bom-ref": purl,
            "name": self.name,
            "version": self.version,
            "purl": purl,
            "properties": [{"name": "debian:source", "value": self.source}],
        }


def parse_status(text: str) -> list[Package]:
    """The installed packages of a dpkg status file, sorted."""
    found = []
    for block in text.split("\n\n"):
        fields = {}
        for line in block.splitlines():
            name, colon, value = line.partition(": ")
            if colon and not line[0].isspace():
                fields[name] = value.strip()
        if fields.get("Status") == "install ok installed":
            source = fields.get("Source", fields["Package"]).split(" ")[0]
            found.append(Package(fields["Package"], fields["Version"], fields["Architecture"], source))
    return sorted(found, key=lambda package: (package.name, package.architecture))


def wheel_component(wheel: Path) -> dict[str, Any]:
    """A distribution of ours."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
        metadata = Parser().parsestr(archive.read(name).decode(), headersonly=True)
    purl = f"pkg:pypi/{metadata['Name']}@{metadata['Version']}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": metadata["Name"],
        "version": metadata["Version"],
        "purl": purl,
        "licenses": [{"expression": metadata["License-Expression"] or "Apache-2.0"}],
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(wheel.read_bytes()).hexdigest()}],
    }


def bill(packages: Iterable[Package], wheels: Sequence[dict[str, Any]], *, version: str, epoch: int) -> dict[str, Any]:
    """The whole document; its serial number is derived from what it lists."""
    components = [package.component() for package in packages] + list(wheels)
    digest = hashlib.sha256(json.dumps(components, sort_keys=True).encode()).digest()
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{UUID(bytes=digest[:16], version=5)}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch, UTC).isoformat().replace("+00:00", "Z"),
            "component": {"type": "operating-system", "bom-ref": IMAGE_ID, "name": IMAGE_ID, "version": version},
        },
        "components": components,
    }


def make_sbom(packages: Sequence[Package], wheels: Sequence[Path], target: Path, *, version: str, epoch: int) -> None:
    """Write the bill."""
    target.parent.mkdir(parents=True, exist_ok=True)
    document = bill(packages, [wheel_component(wheel) for wheel in wheels], version=version, epoch=epoch)
    target.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
