"""The keys of an image: Secure Boot's PK, KEK and db, the TPM policy's that opens /var, and the one of update bundles.

Rules of this file: development keys are made once, outside the tree, and say in their names that they are worth
nothing; a release is signed with keys that stay where they were made. Nothing here signs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from image.errors import InputError
from image.tools import Tools

# Owner of our entries in the firmware's key lists.
OWNER_GUID = "6f0d5a3c-7a4e-4c0b-9a55-1d2f3e4a5b6c"
VALID_DAYS = 3650
NAMES = ("PK", "KEK", "db")


@dataclass(frozen=True, slots=True)
class Keys:
    """A folder: Secure Boot's keys as NAME.key and NAME.crt, the policy's and the updates' as NAME.key and NAME.pub."""

    folder: Path

    def private(self, name: str) -> Path:
        """A private key, PEM."""
        return self.folder / f"{name}.key"

    def certificate(self, name: str) -> Path:
        """Its certificate, PEM."""
        return self.folder / f"{name}.crt"

    @property
    def policy_private(self) -> Path:
        """Signs the PCR values that an image will have."""
        return self.folder / "pcr.key"

    @property
    def policy_public(self) -> Path:
        """What /var is sealed to."""
        return self.folder / "pcr.pub"

    @property
    def update_private(self) -> Path:
        """Signs bundles; P-256."""
        return self.folder / "update.key"

    @property
    def update_public(self) -> Path:
        """What a box holds a bundle's signature against."""
        return self.folder / "update.pub"

    def _pairs(self) -> tuple[Path, ...]:
        return (self.policy_private, self.policy_public, self.update_private, self.update_public)

    def check(self) -> None:
        """See that the set is whole.

        Raises:
            InputError: a file is missing.
        """
        files = [*(self.private(n) for n in NAMES), *(self.certificate(n) for n in NAMES)]
        missing = [p.name for p in (*files, *self._pairs()) if not p.is_file()]
        if missing:
            raise InputError(
                f"{self.folder}: {', '.join(missing)} missing", advice="Make a set for development: make image-keys"
            )


def _make_update_key(tools: Tools, keys: Keys) -> None:
    tools.run(
        *("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"),
        *("-out", keys.update_private),
    )
    tools.run("openssl", "pkey", "-in", keys.update_private, "-pubout", "-out", keys.update_public)
    keys.update_private.chmod(0o600)


def make_development_keys(tools: Tools, folder: Path) -> bool:
    """Make what is missing; False when nothing was.

    Raises:
        StepError: openssl failed.
        InputError: half a set is there, which is never overwritten.
    """
    keys = Keys(folder)
    if folder.exists() and any(folder.iterdir()):
        if not keys.update_private.exists() and keys.policy_private.exists():
            # A set from before there were updates.
            _make_update_key(tools, keys)
        keys.check()
        return False
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for name in NAMES:
        tools.run(
            *("openssl", "req", "-new", "-x509", "-newkey", "rsa:3072", "-sha256", "-nodes"),
            *("-subj", f"/O=Vedette/CN=Vedette development {name} (worthless)", "-days", str(VALID_DAYS)),
            *("-keyout", keys.private(name), "-out", keys.certificate(name)),
        )
    # RSA 2048 and SHA-256 are what every TPM 2.0 verifies.
    tools.run(
        "openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", keys.policy_private
    )
    tools.run("openssl", "pkey", "-in", keys.policy_private, "-pubout", "-out", keys.policy_public)
    _make_update_key(tools, keys)
    for path in folder.glob("*.key"):
        path.chmod(0o600)
    return True
