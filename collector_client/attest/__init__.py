"""Proof that a key lives in a TPM: bytes in, a verdict out. Front door: `examine`, `prove`, `Trust`, `AttestError`."""

from collector_client.attest.claim import Claim, examine
from collector_client.attest.credential import Credential, make_credential
from collector_client.attest.endorsement import Trust
from collector_client.attest.errors import AttestError
from collector_client.attest.fitness import check_ldevid
from collector_client.attest.levels import SECURE_ELEMENT, SOFTWARE, TPM, TPM_UNLISTED
from collector_client.attest.proof import Evidence, Verdict, prove
from collector_client.attest.public import Public, parse_public

__all__ = [
    "SECURE_ELEMENT",
    "SOFTWARE",
    "TPM",
    "TPM_UNLISTED",
    "AttestError",
    "Claim",
    "Credential",
    "Evidence",
    "Public",
    "Trust",
    "Verdict",
    "check_ldevid",
    "examine",
    "make_credential",
    "parse_public",
    "prove",
]
