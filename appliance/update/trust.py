"""Which bundles a box installs: signed by one of its keys, for its kind of machine, not older than is allowed.

Rules of this file: pure. The keys are those of the running image, which the boot chain has verified; a new key comes
with an image that the old one has signed. The floor only ever rises: to that of the best image that was good here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from appliance.errors import EnvironmentFault
from appliance.update.errors import BundleRefusedError
from appliance.wire.bundle import Manifest, version_key

MAX_KEYS = 8


@dataclass(frozen=True, slots=True)
class Standing:
    """What a bundle is held against; `floor` is the higher of the running image's and the one remembered."""

    architecture: str
    version: str
    floor: str
    live: bool = False
    """It runs from its stick, whose installer is of the version that is on it."""


@dataclass(frozen=True, slots=True)
class UpdateKeys:
    """The public keys whose signature counts, with the names of their files."""

    keys: tuple[tuple[str, ec.EllipticCurvePublicKey], ...]

    @staticmethod
    def parse(files: Sequence[tuple[str, bytes]]) -> UpdateKeys:
        """From (name, PEM) pairs.

        Raises:
            EnvironmentFault: none or too many, or one is no P-256 public key: the image is not as it was made.
        """
        if not 1 <= len(files) <= MAX_KEYS:
            raise EnvironmentFault(f"update keys: {len(files)} came, 1 to {MAX_KEYS} were allowed")
        keys = []
        for name, pem in files:
            try:
                key = load_pem_public_key(pem)
            except ValueError as error:
                raise EnvironmentFault(f"update key {name}: no public key in PEM") from error
            if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
                raise EnvironmentFault(f"update key {name}: {type(key).__name__} came, a P-256 key was allowed")
            keys.append((name, key))
        return UpdateKeys(tuple(keys))

    def check(self, manifest: bytes, signature: bytes) -> str:
        """The name of the key that signed.

        Raises:
            BundleRefusedError: none of ours.
        """
        for name, key in self.keys:
            try:
                key.verify(signature, manifest, ec.ECDSA(hashes.SHA256()))
            except InvalidSignature:
                continue
            return name
        names = ", ".join(name for name, _ in self.keys)
        raise BundleRefusedError(
            f"bundle: a signature by none of this box's keys came, one by {names} was allowed",
            advice="Take the bundle from the provider that this box's image is from.",
        )


def check_fit(manifest: Manifest, standing: Standing, *, older: bool) -> None:
    """See that this box may install it; `older`: the operator wants it although a newer version runs.

    Raises:
        BundleRefusedError: it may not; the text says why.
    """
    if standing.live:
        raise BundleRefusedError(
            f"bundle: version {manifest.version} came, none was allowed: this sensor runs live from its stick",
            advice="Write the stick anew with that version, with a token for the same sensor (token new --for).",
        )
    if manifest.architecture != standing.architecture:
        raise BundleRefusedError(
            f"bundle: for {manifest.architecture} came, {standing.architecture} was allowed",
            advice="Take the bundle for this kind of machine.",
        )
    if version_key(manifest.version) < version_key(standing.floor):
        raise BundleRefusedError(
            f"bundle: version {manifest.version} came, at least {standing.floor} (the security floor) was allowed",
            advice="Older versions have holes that are known; install a newer one.",
        )
    if manifest.version == standing.version:
        raise BundleRefusedError(f"bundle: version {manifest.version} came, which runs already")
    if not older and version_key(manifest.version) < version_key(standing.version):
        raise BundleRefusedError(
            f"bundle: version {manifest.version} came, one after {standing.version} was allowed",
            advice="Is it meant? vedette update --older, or the same option of vedette-collector update offer.",
        )


def highest(*versions: str) -> str:
    """The latest of some versions."""
    return max(versions, key=version_key)
