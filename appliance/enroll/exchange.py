"""One enrollment at one collector as a state table, without I/O: what is asked next, and what an answer means.

                     key in a file          key in a TPM
    CA               the CAs, unverified    the same
    CHALLENGE                               ResidencyRequest -> ResidencyChallenge
    PROOF                                   the TPM answers the challenge
    CERTIFICATE      simpleenroll           ResidencyProof -> certificates
    ISSUED           what to write          the same

Rules of this file: everything that changes the step is in `NEXT` and `BACK`. Nothing that came is trusted before it was
held against the pin. No step is kept over a restart: the key is on disk before the first one, and a collector gives the
same key its certificate again for the same token, so after a power cut one begins again at CA.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from cryptography import x509

from appliance.enroll.errors import EnrollmentRefusedError, IssuedWrongError, WrongPinError
from appliance.enroll.refused import refused
from appliance.errors import ApplianceError
from appliance.identity import Answer, CertificateInvalidError, SensorCertificate
from appliance.identity.certificates import (
    parse_certs_only,
    pinned_root,
    sensor_certificate,
    spki_der,
    to_pem,
)
from appliance.identity.trust import follow, leads_to
from appliance.wire.enrollment import (
    CACERTS_PATH,
    CSR_MEDIA_TYPE,
    MAX_CERTS_BYTES,
    SIMPLEENROLL_PATH,
    EnrollmentToken,
    decode_base64,
    encode_base64,
)
from appliance.wire.residency import (
    RESIDENCY_MEDIA_TYPE,
    TPM_CHALLENGE_PATH,
    TPM_ENROLL_PATH,
    ResidencyChallenge,
    ResidencyProof,
    ResidencyRequest,
)
from appliance.wire.session import Refusal, SessionError


class Step(Enum):
    """Where the exchange is: what it needs next."""

    CA = "ca"
    CHALLENGE = "challenge"
    PROOF = "proof"
    CERTIFICATE = "certificate"
    ISSUED = "issued"


NEXT: dict[bool, dict[Step, Step]] = {
    False: {Step.CA: Step.CERTIFICATE, Step.CERTIFICATE: Step.ISSUED},
    True: {
        Step.CA: Step.CHALLENGE,
        Step.CHALLENGE: Step.PROOF,
        Step.PROOF: Step.CERTIFICATE,
        Step.CERTIFICATE: Step.ISSUED,
    },
}
"""By whether the key is in a TPM: where a good answer leads."""

BACK: dict[tuple[Step, str], Step] = {(Step.CERTIFICATE, "CHALLENGE_UNKNOWN"): Step.CHALLENGE}
"""Refusals that are answered by going back, once: a challenge is short-lived, and the TPM may have been slow."""

_REPORT = "report this to the collector's operator; nothing was written"


@dataclass(frozen=True, slots=True)
class Ask:
    """A request to send. Unverified means: over TLS whose server is not checked, and then nothing secret is in it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    verified: bool


@dataclass(frozen=True, slots=True)
class Issued:
    """What to write, and what the certificate says."""

    certificate: SensorCertificate
    ca_pem: bytes
    certificate_pem: bytes


class Exchange:
    """Driven by a loop: do what `needs` gives, hand in what came."""

    def __init__(
        self,
        where: str,
        *,
        pin: str,
        token: EnrollmentToken,
        spki: bytes,
        csr_der: bytes,
        residency: ResidencyRequest | None = None,
    ) -> None:
        """`where` is the collector in errors; `residency` comes with a key in a TPM and only then."""
        self.step = Step.CA
        self._where = where
        self._pin = pin
        self._token = token
        self._spki = spki
        self._csr_der = csr_der
        self._residency = residency
        self._trusted: list[x509.Certificate] = []
        self._challenge: ResidencyChallenge | None = None
        self._proof: ResidencyProof | None = None
        self._issued: Issued | None = None
        self._went_back = False

    @property
    def ca_pem(self) -> bytes:
        """The CAs to verify the server with, once one has the pin."""
        return to_pem(self._trusted)

    def needs(self) -> Ask | ResidencyChallenge | Issued:
        """The request to send, the challenge to answer, or the end."""
        if self.step is Step.CA:
            return Ask("GET", CACERTS_PATH, {}, b"", verified=False)
        if self.step is Step.CHALLENGE and self._residency is not None:
            return self._post(TPM_CHALLENGE_PATH, RESIDENCY_MEDIA_TYPE, self._residency.encode())
        if self.step is Step.PROOF and self._challenge is not None:
            return self._challenge
        if self.step is Step.CERTIFICATE and self._proof is not None:
            return self._post(TPM_ENROLL_PATH, RESIDENCY_MEDIA_TYPE, self._proof.encode())
        if self.step is Step.ISSUED and self._issued is not None:
            return self._issued
        ask = self._post(SIMPLEENROLL_PATH, CSR_MEDIA_TYPE, encode_base64(self._csr_der))
        ask.headers["Content-Transfer-Encoding"] = "base64"
        return ask

    def answered(self, answer: Answer, now_ns: int) -> None:
        """Take the answer to the request.

        Raises:
            WrongPinError: the server's CA is not the pinned one.
            TokenUnknownError, TokenUsedError, TokenExpiredError, EnrollmentRefusedError: the collector said no.
            IssuedWrongError: what came is not what was asked for.
        """
        if answer.status != 200:
            self._refused(answer)
            return
        if self.step is Step.CA:
            self._take_authorities(self._certificates(answer), now_ns)
        elif self.step is Step.CHALLENGE:
            try:
                self._challenge = ResidencyChallenge.decode(answer.body)
            except SessionError as exc:
                raise IssuedWrongError(f"{self._where}: {exc}", advice=_REPORT) from exc
        else:
            self._take_certificates(self._certificates(answer), now_ns)
        self._forward()

    def proved(self, proof: ResidencyProof) -> None:
        """Take the TPM's answer to the challenge."""
        self._proof = proof
        self._forward()

    def _forward(self) -> None:
        self.step = NEXT[self._residency is not None][self.step]

    def _post(self, path: str, media_type: str, body: bytes) -> Ask:
        headers = {"Content-Type": media_type, "Authorization": self._token.authorization()}
        return Ask("POST", path, headers, body, verified=True)

    def _refused(self, answer: Answer) -> None:
        """Go back when the table says so; raise otherwise."""
        try:
            name = Refusal.from_answer(answer.status, answer.headers, answer.body).code.partition(" ")[2]
        except SessionError:
            name = ""
        back = BACK.get((self.step, name)) if self._residency is not None else None
        if back is not None and not self._went_back:
            self._went_back = True
            self.step, self._challenge, self._proof = back, None, None
            return
        if self.step is Step.CHALLENGE and answer.status == 404:
            raise EnrollmentRefusedError(
                f"{self._where}: the collector does not know keys in a TPM (HTTP status 404)",
                advice='update the collector; for a trial: [identity] key_store = "software" and a new key',
            )
        raise refused(self._where, answer)

    def _certificates(self, answer: Answer) -> list[x509.Certificate]:
        try:
            what = f"{self._where}: certificates"
            return parse_certs_only(self._where, decode_base64(what, answer.body, MAX_CERTS_BYTES))
        except (SessionError, CertificateInvalidError) as exc:
            raise IssuedWrongError(str(exc), advice="is this a collector? check [collector] urls") from exc

    def _take_authorities(self, authorities: list[x509.Certificate], now_ns: int) -> None:
        root = pinned_root(authorities, self._pin)
        if root is None:
            raise WrongPinError(
                f"{self._where}: none of the {len(authorities)} CAs it offers has the pinned key {self._pin[:16]}…",
                advice="compare [collector] ca_pin with what `vedette-collector init` printed: is somebody between?",
            )
        # Only the pinned root, one that it vouches for, and what is below is kept; whatever else came is forgotten.
        self._trusted = follow([root], authorities, now_ns)

    def _take_certificates(self, certificates: list[x509.Certificate], now_ns: int) -> None:
        leaf = next((certificate for certificate in certificates if spki_der(certificate) == self._spki), None)
        if leaf is None:
            raise IssuedWrongError(f"{self._where}: the certificate that came is for another key", advice=_REPORT)
        chain = leads_to(self._trusted, leaf, [*certificates, *self._trusted])
        if chain is None:
            raise IssuedWrongError(
                f"{self._where}: the certificate that came does not lead to the pinned CA", advice=_REPORT
            )
        try:
            issued = sensor_certificate(leaf)
            issued.life.check(now_ns)
        except ApplianceError as exc:
            raise IssuedWrongError(f"{self._where}: {exc}", advice=exc.advice or _REPORT) from exc
        self._issued = Issued(issued, self.ca_pem, to_pem(chain))
