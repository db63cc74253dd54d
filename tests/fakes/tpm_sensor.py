"""A box with a TPM at the collector's door: the two residency steps over real TLS, any message changed at will."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from appliance.wire.enrollment import EnrollmentToken, decode_base64
from appliance.wire.residency import TPM_CHALLENGE_PATH, TPM_ENROLL_PATH, ResidencyChallenge, ResidencyProof
from tests.fakes.sensor import Answer, FakeSensor
from tests.fakes.tpm_device import TpmDevice


class TpmSensor(FakeSensor):
    """Its key is the device's LDevID."""

    def __init__(self, address: str, device: TpmDevice) -> None:
        super().__init__(address, device.ldevid.key)
        self.device = device

    def ask(self, token: str, body: bytes | None = None, **changed: Any) -> Answer:
        """Ask for a challenge."""
        if not self.ca_pem:
            self.learn_ca()
        return self._post(TPM_CHALLENGE_PATH, token, body or self.device.request(**changed).encode())

    def challenge(self, token: str, **changed: Any) -> ResidencyChallenge:
        """A challenge, which must come."""
        answer = self.ask(token, **changed)
        assert answer.status == 200, answer.body
        return ResidencyChallenge.decode(answer.body)

    def prove(self, token: str, proof: ResidencyProof | bytes) -> Answer:
        """Answer a challenge, and keep the certificate."""
        body = proof if isinstance(proof, bytes) else proof.encode()
        answer = self._post(TPM_ENROLL_PATH, token, body)
        if answer.status == 200:
            der = decode_base64("certificate", answer.body, 65_536)
            (certificate,) = pkcs7.load_der_pkcs7_certificates(der)
            self.certificate = certificate.public_bytes(Encoding.DER)
            self.disconnect()
        return answer

    def enroll_by_tpm(self, token: str, **changed: Any) -> Answer:
        """Both steps; `changed` forges fields of the honest answer."""
        proof = self.device.answer(self.challenge(token))
        return self.prove(token, replace(proof, **changed))

    def _post(self, path: str, token: str, body: bytes) -> Answer:
        headers = {
            "Authorization": EnrollmentToken.parse(token).authorization(),
            "Content-Type": "application/json",
        }
        return self.request("POST", path, body, headers)
