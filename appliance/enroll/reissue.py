"""Asking one collector for the next key's certificate, without I/O. The steps are in `steps.py`.

    what is asked                  the present certificate is good     it is out of date, or of a retired CA
    both:          CA              cacerts, TLS that the present CAs verify, no client certificate
    key in a file: CERTIFICATE     simplereenroll, mutual TLS          recover, signed by the present key
    key in a TPM:  CHALLENGE       tpm-rechallenge, mutual TLS         tpm-recover-challenge, signed by the present key
                   CERTIFICATE     tpm-reenroll, mutual TLS            tpm-recover
    secure element CERTIFICATE     element-renew, signed by the element in any case

Rules of this file: a CA that comes is believed only as `identity/trust.py` says; a certificate must be for the next
key, under what is believed then, and in the sensor's own name.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509

from appliance.enroll.errors import RootUnknownError
from appliance.enroll.steps import NEXT, Ask, Step, Steps
from appliance.identity import Answer
from appliance.identity.trust import follow
from appliance.wire.element import ELEMENT_RENEW_PATH
from appliance.wire.enrollment import (
    CACERTS_PATH,
    CSR_MEDIA_TYPE,
    RECOVER_PATH,
    SIMPLEREENROLL_PATH,
    RecoveryRequest,
    encode_base64,
)
from appliance.wire.residency import (
    RESIDENCY_MEDIA_TYPE,
    TPM_RECHALLENGE_PATH,
    TPM_RECOVER_CHALLENGE_PATH,
    TPM_RECOVER_PATH,
    TPM_REENROLL_PATH,
    ResidencyRequest,
)


class Reissue(Steps):
    """From the present key to a certificate for the next one."""

    report = "report this to the collector's operator; the old certificate stays in force"
    unknown_advice = "update the collector; until then the old certificate stays in force"

    def __init__(
        self,
        where: str,
        *,
        sensor_id: str,
        trusted: Sequence[x509.Certificate],
        spki: bytes,
        csr_der: bytes,
        residency: ResidencyRequest | None = None,
        by_element: bool = False,
    ) -> None:
        """`trusted` is what was on disk; `spki`, `csr_der`, `residency` are the next key's, the last with a key in a
        TPM and only then; `by_element`: a secure element signs, so it begins with `recover`.
        """
        super().__init__(where, spki=spki, residency=residency)
        self._sensor_id = sensor_id
        self._trusted = trusted
        self._csr_der = csr_der
        self._recovery: RecoveryRequest | None = None
        self._recover_path = ELEMENT_RENEW_PATH if by_element else RECOVER_PATH

    def recover(self, recovery: RecoveryRequest) -> None:
        """Begin anew behind the CAs, because the present certificate is out of date or its CA retired; `recovery` is
        the first request, signed.
        """
        self.step = NEXT[self._residency is not None][Step.CA]
        self._recovery, self._challenge, self._proof = recovery, None, None

    def asks(self) -> Ask:
        """See `Steps.asks`; over mutual TLS unless it is for the CAs or a recovery."""
        if self.step is Step.CA:
            return Ask("GET", CACERTS_PATH, {}, b"", verified=True)
        if self._proof is not None:
            path = TPM_REENROLL_PATH if self._recovery is None else TPM_RECOVER_PATH
            return _post(path, RESIDENCY_MEDIA_TYPE, self._proof.encode())
        if self._recovery is not None:
            path = self._recover_path if self._residency is None else TPM_RECOVER_CHALLENGE_PATH
            return _post(path, "application/json", self._recovery.to_json())
        if self._residency is not None:
            return _post(TPM_RECHALLENGE_PATH, RESIDENCY_MEDIA_TYPE, self._residency.encode())
        ask = _post(SIMPLEREENROLL_PATH, CSR_MEDIA_TYPE, encode_base64(self._csr_der))
        ask.headers["Content-Transfer-Encoding"] = "base64"
        return ask

    def take(self, answer: Answer, now_ns: int) -> None:
        """See `Steps.take`."""
        if self.step is Step.CA:
            self._trusted = self._followed(self.certificates(answer), now_ns)
            return
        made = self.issued(answer, self._trusted, now_ns)
        if made.certificate.sensor_id != self._sensor_id:
            raise self._wrong(
                f"a certificate for {made.certificate.sensor_id} came, one for {self._sensor_id} was allowed"
            )
        self._issued = made

    def _followed(self, told: Sequence[x509.Certificate], now_ns: int) -> list[x509.Certificate]:
        trusted = follow(self._trusted, told, now_ns)
        if not trusted:
            raise RootUnknownError(
                f"{self._where}: none of its roots is ours, and none of ours vouches for one",
                advice="ask the collector's operator; if it was set up anew, enroll with its pin and a new token:"
                " vedette enroll",
            )
        return trusted


def _post(path: str, media_type: str, body: bytes) -> Ask:
    return Ask("POST", path, {"Content-Type": media_type}, body, verified=True)
