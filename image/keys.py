"""The keys of an image: Secure Boot's PK, KEK and db, the TPM policy's that opens /var, and the one of update bundles.

    NAME.key, NAME.crt    PK, KEK, db: private key and certificate, PEM
    pcr.key, pcr.pub      the policy's
    update.key, .pub      signs bundles; P-256
    NAME.uri              in the place of NAME.key: a key in a token, as a PKCS#11 URI (RFC 7512); its PIN by pin-source
    pcr.crt               with pcr.uri: a certificate of that key, which ukify asks for then
    pkcs11-module         where the token's library is, in the tools tree or the cache
    softhsm2.conf         SoftHSM's own settings, when that is the token

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
# Signs the PCR values that an image will have.
POLICY = "pcr"
# Signs update bundles.
UPDATE = "update"


@dataclass(frozen=True, slots=True)
class Keys:
    """A folder with keys."""

    folder: Path

    def private(self, name: str) -> Path:
        """A private key, PEM."""
        return self.folder / f"{name}.key"

    def certificate(self, name: str) -> Path:
        """Its certificate, PEM."""
        return self.folder / f"{name}.crt"

    def uri(self, name: str) -> Path:
        """Says where in a token the private key is."""
        return self.folder / f"{name}.uri"

    def signer(self, name: str) -> tuple[str, bool]:
        """What a program is told to sign with, and whether that is a URI for OpenSSL's engine pkcs11."""
        if self.uri(name).is_file():
            return self.uri(name).read_text(encoding="ascii").strip(), True
        return str(self.private(name)), False

    def environment(self) -> dict[str, str]:
        """What the engine and the token's library read from the environment."""
        module, softhsm = self.folder / "pkcs11-module", self.folder / "softhsm2.conf"
        found = {"PKCS11_MODULE_PATH": module.read_text(encoding="ascii").strip()} if module.is_file() else {}
        return {**found, **({"SOFTHSM2_CONF": str(softhsm)} if softhsm.is_file() else {})}

    @property
    def policy_public(self) -> Path:
        """What /var is sealed to."""
        return self.folder / "pcr.pub"

    @property
    def update_public(self) -> Path:
        """What a box holds a bundle's signature against."""
        return self.folder / f"{UPDATE}.pub"

    def check(self) -> None:
        """See that the set is whole.

        Raises:
            InputError: a file is missing.
        """
        needed = (*NAMES, POLICY, UPDATE)
        missing = [f"{n}.key" for n in needed if not (self.private(n).is_file() or self.uri(n).is_file())]
        missing += ["pcr.crt"] if self.uri(POLICY).is_file() and not self.certificate(POLICY).is_file() else []
        missing += [
            p.name for p in (*map(self.certificate, NAMES), self.policy_public, self.update_public) if not p.is_file()
        ]
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
        if keys.policy_public.is_file() and not keys.update_public.exists():
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
        "openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", keys.private(POLICY)
    )
    tools.run("openssl", "pkey", "-in", keys.private(POLICY), "-pubout", "-out", keys.policy_public)
    _make_update_key(tools, keys)
    for path in folder.glob("*.key"):
        path.chmod(0o600)
    return True


def _make_update_key(tools: Tools, keys: Keys) -> None:
    private = keys.private(UPDATE)
    curve = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
    tools.run("openssl", "genpkey", *curve, "-out", private)
    tools.run("openssl", "pkey", "-in", private, "-pubout", "-out", keys.update_public)
    private.chmod(0o600)
