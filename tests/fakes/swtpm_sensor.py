"""A box with a real TPM (swtpm) at the collector's door, any message changed at will; see `tpm_sensor.py`.

Rules of this file: what the TPM says is said by the appliance's own code; only what is sent of it is the test's choice.
It does not speak as the sensor afterwards: TLS in the test's process has no line to the TPM's key.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

from appliance.identity.tpm import TpmSigner
from appliance.wire.residency import ResidencyChallenge, ResidencyProof
from tests.fakes.sensor import Answer
from tests.fakes.tpm_device import TpmDevice
from tests.fakes.tpm_sensor import TpmSensor


class RealSensor(TpmSensor):
    """Speaks to the collector with what a real TPM says."""

    def __init__(self, address: str, signer: TpmSigner) -> None:
        super().__init__(address, TpmDevice())
        self.signer = signer
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sensor")])
        csr = signer.sign_request(x509.CertificateSigningRequestBuilder().subject_name(name))
        self.said = signer.residency_request(csr)

    def asked(self, token: str, **changed: Any) -> ResidencyChallenge:
        """A challenge, which must come."""
        answer = self.ask(token, replace(self.said, **changed).encode())
        assert answer.status == 200, answer.body
        return ResidencyChallenge.decode(answer.body)

    def prove(self, token: str, proof: ResidencyProof | bytes) -> Answer:
        """As the parent; the certificate is not kept."""
        answer = super().prove(token, proof)
        self.certificate = None
        return answer

    def proof(self, token: str) -> ResidencyProof:
        """An honest answer to a new challenge."""
        return self.signer.residency_proof(self.asked(token))
