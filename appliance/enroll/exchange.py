"""One enrollment at one collector, without I/O: what is asked next, and what an answer means. The steps are in
`steps.py`.

Rules of this file: nothing that came is trusted before it was held against the pin.
"""

from __future__ import annotations

from cryptography import x509

from appliance.enroll.errors import WrongPinError
from appliance.enroll.steps import Ask, Step, Steps
from appliance.identity import Answer
from appliance.identity.certificates import pinned_root, to_pem
from appliance.identity.trust import follow
from appliance.wire.element import ELEMENT_ENROLL_PATH, ElementEnrollment
from appliance.wire.enrollment import (
    CACERTS_PATH,
    CSR_MEDIA_TYPE,
    SIMPLEENROLL_PATH,
    EnrollmentToken,
    encode_base64,
)
from appliance.wire.residency import RESIDENCY_MEDIA_TYPE, TPM_CHALLENGE_PATH, TPM_ENROLL_PATH, ResidencyRequest


class Exchange(Steps):
    """From a pin and a token to a certificate."""

    report = "report this to the collector's operator; nothing was written"
    unknown_advice = 'update the collector; for a trial: [identity] key_store = "software" and a new key'

    def __init__(
        self,
        where: str,
        *,
        pin: str,
        token: EnrollmentToken,
        spki: bytes,
        csr_der: bytes,
        residency: ResidencyRequest | None = None,
        element: ElementEnrollment | None = None,
    ) -> None:
        """`where` is the collector in errors; `residency` comes with a key in a TPM and only then, `element` with one
        that a secure element signs for.
        """
        super().__init__(where, spki=spki, residency=residency)
        self._pin = pin
        self._token = token
        self._csr_der = csr_der
        self._element = element
        self._trusted: list[x509.Certificate] = []

    @property
    def ca_pem(self) -> bytes:
        """The CAs to verify the server with, once one has the pin."""
        return to_pem(self._trusted)

    def asks(self) -> Ask:
        """See `Steps.asks`."""
        if self.step is Step.CA:
            return Ask("GET", CACERTS_PATH, {}, b"", verified=False)
        if self.step is Step.CHALLENGE and self._residency is not None:
            return self._post(TPM_CHALLENGE_PATH, RESIDENCY_MEDIA_TYPE, self._residency.encode())
        if self._proof is not None:
            return self._post(TPM_ENROLL_PATH, RESIDENCY_MEDIA_TYPE, self._proof.encode())
        if self._element is not None:
            return self._post(ELEMENT_ENROLL_PATH, "application/json", self._element.to_json())
        ask = self._post(SIMPLEENROLL_PATH, CSR_MEDIA_TYPE, encode_base64(self._csr_der))
        ask.headers["Content-Transfer-Encoding"] = "base64"
        return ask

    def take(self, answer: Answer, now_ns: int) -> None:
        """See `Steps.take`."""
        if self.step is Step.CA:
            self._take_authorities(self.certificates(answer), now_ns)
        else:
            self._issued = self.issued(answer, self._trusted, now_ns)

    def _post(self, path: str, media_type: str, body: bytes) -> Ask:
        headers = {"Content-Type": media_type, "Authorization": self._token.authorization()}
        return Ask("POST", path, headers, body, verified=True)

    def _take_authorities(self, authorities: list[x509.Certificate], now_ns: int) -> None:
        root = pinned_root(authorities, self._pin)
        if root is None:
            raise WrongPinError(
                f"{self._where}: none of the {len(authorities)} CAs it offers has the pinned key {self._pin[:16]}…",
                advice="compare [collector] ca_pin with what `vedette-collector init` printed: is somebody between?",
            )
        # Only the pinned root, one that it vouches for, and what is below is kept; whatever else came is forgotten.
        self._trusted = follow([root], authorities, now_ns)
