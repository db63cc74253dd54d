"""The keys of an image: Secure Boot's PK, KEK and db, and the key of the TPM policy that opens /var.

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
    """A folder with keys; those of Secure Boot as NAME.key and NAME.crt, the policy's as pcr.key and pcr.pub."""

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

    def check(self) -> None:
        """See that the set is whole.

        Raises:
            InputError: a file is missing.
        """
        files = [*(self.private(n) for n in NAMES), *(self.certificate(n) for n in NAMES)]
        missing = [p.name for p in (*files, self.policy_private, self.policy_public) if not p.is_file()]
        if missing:
            raise InputError(
                f"{self.folder}: {', '.join(missing)} missing", advice="Make a set for development: make image-keys"
            )


def make_development_keys(tools: Tools, folder: Path) -> bool:
    """Make what is missing; False when nothing was.

    Raises:
        StepError: openssl failed.
        InputError: half a set is there, which is never overwritten.
    """
    keys = Keys(folder)
    if folder.exists() and any(folder.iterdir()):
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
    for path in folder.glob("*.key"):
        path.chmod(0o600)
    return True
