"""A box with a TPM at the collector's door: the two residency steps over real TLS, any message changed at will."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from appliance.wire.enrollment import EnrollmentToken, RecoveryRequest, decode_base64
from appliance.wire.residency import (
    TPM_CHALLENGE_PATH,
    TPM_ENROLL_PATH,
    TPM_RECHALLENGE_PATH,
    TPM_RECOVER_CHALLENGE_PATH,
    TPM_RECOVER_PATH,
    TPM_REENROLL_PATH,
    ResidencyChallenge,
    ResidencyProof,
)
from tests.fakes.sensor import Answer, FakeSensor, key_id
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
        return self._take(self._post(TPM_ENROLL_PATH, token, body))

    def _take(self, answer: Answer) -> Answer:
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

    def rechallenge(self, device: TpmDevice, **changed: Any) -> Answer:
        """Ask, over mutual TLS with the present key, for a challenge to the TPM that holds the next one."""
        return self.request("POST", TPM_RECHALLENGE_PATH, device.request(**changed).encode())

    def reprove(self, device: TpmDevice, proof: ResidencyProof) -> Answer:
        """Answer it; the next key and certificate are used from now on when they come."""
        return self._next(device, self.request("POST", TPM_REENROLL_PATH, proof.encode()))

    def renew_by_tpm(self, device: TpmDevice, **changed: Any) -> Answer:
        """Both steps of a renewal with the device's LDevID as next key; the first answer that is a refusal."""
        asked = self.rechallenge(device)
        if asked.status != 200:
            return asked
        return self.reprove(device, replace(device.answer(ResidencyChallenge.decode(asked.body)), **changed))

    def recovery_by_tpm(self, device: TpmDevice, signer: Any = None) -> bytes:
        """A recovery around a residency request, signed by the present key or by another."""
        asked = RecoveryRequest(self.sensor_id, key_id(self.key), device.request().encode())
        proof = (signer or self.key).sign(asked.statement(), ec.ECDSA(hashes.SHA256()))
        return replace(asked, proof_der=proof).to_json()

    def recover_challenge(self, device: TpmDevice, body: bytes | None = None) -> Answer:
        """Ask for a challenge over TLS without a client certificate."""
        self.disconnect()
        self.certificate = None
        return self.request("POST", TPM_RECOVER_CHALLENGE_PATH, body or self.recovery_by_tpm(device))

    def recover_by_tpm(self, device: TpmDevice, **changed: Any) -> Answer:
        """Both steps of a recovery with the device's LDevID as next key; the first answer that is a refusal."""
        asked = self.recover_challenge(device)
        if asked.status != 200:
            return asked
        proof = replace(device.answer(ResidencyChallenge.decode(asked.body)), **changed)
        return self._next(device, self.request("POST", TPM_RECOVER_PATH, proof.encode()))

    def _next(self, device: TpmDevice, answer: Answer) -> Answer:
        if self._take(answer).status == 200:
            self.device, self.key = device, device.ldevid.key
        return answer

    def _post(self, path: str, token: str, body: bytes) -> Answer:
        headers = {
            "Authorization": EnrollmentToken.parse(token).authorization(),
            "Content-Type": "application/json",
        }
        return self.request("POST", path, body, headers)
