"""The first message: what a box says it has. Everything that needs no answer of its TPM is checked here.

Rules of this file: nothing is proved yet. The attributes of the AK and the LDevID are what the box says; the credential
(for the AK's name) and the certification (of the LDevID's name) prove them later.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from appliance.wire.codes import SessionCode
from appliance.wire.residency import ResidencyRequest
from collector_client.attest.endorsement import Endorsement, Trust, ek_digest, judge
from collector_client.attest.errors import AttestError
from collector_client.attest.fitness import check_ak, check_ek, check_ldevid
from collector_client.attest.public import Public, parse_public


@dataclass(frozen=True, slots=True)
class Claim:
    """A request that may be challenged; `key` is the LDevID's, the one a certificate is asked for."""

    request: ResidencyRequest
    ek: Public
    ak: Public
    ldevid: Public
    key: EllipticCurvePublicKey
    endorsement: Endorsement

    @property
    def ek_sha256(self) -> bytes:
        """What the TPM is known by."""
        return ek_digest(self.ek)


def examine(request: ResidencyRequest, csr_key: EllipticCurvePublicKey, trust: Trust, now: datetime) -> Claim:
    """Check a request; `csr_key` is the key that its certificate request proves possession of.

    Raises:
        AttestError: a structure, a key's attributes, the EK certificate, or the request's key is not as it must be.
    """
    ek = parse_public("EK", request.ek_public)
    ak = parse_public("AK", request.ak_public)
    ldevid = parse_public("LDevID", request.ldevid_public)
    check_ek(ek)
    check_ak(ak)
    key = check_ldevid(ldevid)
    if key.public_numbers() != csr_key.public_numbers():
        raise AttestError(
            SessionCode.CSR_KEY_DIFFERS, "a certificate request of another key", "one of the LDevID key in the TPM"
        )
    if hmac.compare_digest(ak.name, ldevid.name):
        raise AttestError(SessionCode.TPM_KEY_UNFIT, "one key as AK and LDevID", "two keys")
    return Claim(request, ek, ak, ldevid, key, judge(ek, request.ek_certificate, trust, now))
