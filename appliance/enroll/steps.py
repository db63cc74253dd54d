"""The steps from a request to a certificate, shared by enrollment (`exchange.py`) and renewal (`reissue.py`): no I/O.

                     key in a file          key in a TPM
    CA               the CAs                the same
    CHALLENGE                               ResidencyRequest -> ResidencyChallenge
    PROOF                                   the TPM answers the challenge
    CERTIFICATE      the request            ResidencyProof -> certificates
    ISSUED           what to write          the same

Rules of this file: everything that changes the step is in `NEXT` and `BACK`. What is asked at which path, and which
CAs are believed, is the subclasses'. No step is kept over a restart: the key is on disk before the first one, and a
collector gives the same key its certificate again, so after a power cut one begins again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from cryptography import x509

from appliance.enroll.errors import EnrollmentRefusedError, IssuedWrongError
from appliance.enroll.refused import refused
from appliance.errors import ApplianceError
from appliance.identity import Answer, CertificateInvalidError, SensorCertificate
from appliance.identity.certificates import parse_certs_only, sensor_certificate, spki_der, to_pem
from appliance.identity.trust import leads_to
from appliance.wire.enrollment import MAX_CERTS_BYTES, decode_base64
from appliance.wire.residency import ResidencyChallenge, ResidencyProof, ResidencyRequest
from appliance.wire.session import Refusal, SessionError


class Step(Enum):
    """Where an exchange is: what it needs next."""

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

BACK: dict[tuple[Step, str], Step] = {
    (Step.CERTIFICATE, "CHALLENGE_UNKNOWN"): Step.CHALLENGE,
    (Step.CERTIFICATE, "CHALLENGE_EXPIRED"): Step.CHALLENGE,
}
"""Refusals that are answered by going back, once: a challenge is short-lived, and the TPM may have been slow."""


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


class Steps(ABC):
    """Base of an exchange, driven by a loop: do what `needs` gives, hand in what came."""

    report = ""
    """Advice for what the collector should not have sent."""
    unknown_advice = ""
    """Advice when the collector has no path for a key in a TPM."""

    def __init__(self, where: str, *, spki: bytes, residency: ResidencyRequest | None) -> None:
        """`where` is the collector in errors; `spki` is the key's that a certificate is asked for."""
        self.step = Step.CA
        self._where = where
        self._spki = spki
        self._residency = residency
        self._challenge: ResidencyChallenge | None = None
        self._proof: ResidencyProof | None = None
        self._issued: Issued | None = None
        self._went_back = False

    def needs(self) -> Ask | ResidencyChallenge | Issued:
        """The request to send, the challenge to answer, or the end."""
        if self.step is Step.PROOF and self._challenge is not None:
            return self._challenge
        if self.step is Step.ISSUED and self._issued is not None:
            return self._issued
        return self.asks()

    @abstractmethod
    def asks(self) -> Ask:
        """The request of this step."""

    @abstractmethod
    def take(self, answer: Answer, now_ns: int) -> None:
        """A good answer to this step's request, unless it is a challenge."""

    def answered(self, answer: Answer, now_ns: int) -> None:
        """Take the answer to the request.

        Raises:
            WrongPinError: the server's CA is not the pinned one.
            RootUnknownError: none of the server's roots is ours, and none of ours vouches for one.
            TokenUnknownError, TokenUsedError, TokenExpiredError, EnrollmentRefusedError: the collector said no.
            IssuedWrongError: what came is not what was asked for.
        """
        if answer.status != 200:
            self._refused(answer)
            return
        if self.step is Step.CHALLENGE:
            try:
                self._challenge = ResidencyChallenge.decode(answer.body)
            except SessionError as exc:
                raise IssuedWrongError(f"{self._where}: {exc}", advice=self.report) from exc
        else:
            self.take(answer, now_ns)
        self._forward()

    def proved(self, proof: ResidencyProof) -> None:
        """Take the TPM's answer to the challenge."""
        self._proof = proof
        self._forward()

    def certificates(self, answer: Answer) -> list[x509.Certificate]:
        """The certificates of EST's answer (RFC 7030 section 4.2.3).

        Raises:
            IssuedWrongError: it holds none, or is something else.
        """
        try:
            what = f"{self._where}: certificates"
            return parse_certs_only(self._where, decode_base64(what, answer.body, MAX_CERTS_BYTES))
        except (SessionError, CertificateInvalidError) as exc:
            raise IssuedWrongError(str(exc), advice="is this a collector? check [collector] urls") from exc

    def issued(self, answer: Answer, trusted: Sequence[x509.Certificate], now_ns: int) -> Issued:
        """The certificate that an answer brings, under one of the trusted roots, and in date.

        Raises:
            IssuedWrongError: it is not for our key, not under our CA, or not in date.
        """
        came = self.certificates(answer)
        leaf = next((certificate for certificate in came if spki_der(certificate) == self._spki), None)
        if leaf is None:
            raise self._wrong("the certificate that came is for another key")
        chain = leads_to(trusted, leaf, [*came, *trusted])
        if chain is None:
            raise self._wrong("the certificate that came does not lead to a trusted CA")
        try:
            certificate = sensor_certificate(leaf)
            certificate.life.check(now_ns)
        except ApplianceError as exc:
            raise IssuedWrongError(f"{self._where}: {exc}", advice=exc.advice or self.report) from exc
        return Issued(certificate, to_pem(trusted), to_pem(chain))

    def _wrong(self, what: str) -> IssuedWrongError:
        return IssuedWrongError(f"{self._where}: {what}", advice=self.report)

    def _forward(self) -> None:
        self.step = NEXT[self._residency is not None][self.step]

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
                advice=self.unknown_advice,
            )
        raise refused(self._where, answer)
