"""A `Signer` whose key lives in a TPM, and the store that makes and loads such keys.

Rules of this file: the public half is known from the file, so that knowing who we are needs no TPM; each use of the
private half is one short conversation. In TLS it is OpenSSL that talks to the TPM (`provider.py`), from the same file.
"""

from __future__ import annotations

import hashlib
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tpm2_pytss import (
    ESYS_TR,
    TPM2_ALG,
    TPM2_ECC,
    TPM2_RH,
    TPM2_ST,
    TPMT_SIG_SCHEME,
    TPMT_TK_HASHCHECK,
    TSS2_Exception,
)
from tpm2_pytss.cryptography import tpm_ecc_private_key
from tpm2_pytss.tsskey import TSSPrivKey

from appliance.identity.certificates import parse_pem, spki_der
from appliance.identity.errors import CertificateInvalidError, KeyFileError, KeyStoreDiffersError, TpmRefusedError
from appliance.identity.folder import read_small
from appliance.identity.keyfile import NEW_KEY, TSS2_PEM, read_private, write_once
from appliance.identity.signer import Assurance
from appliance.identity.tpm import attestation, provider
from appliance.identity.tpm.keys import SRK_HANDLE, create_ldevid, idevid, ldevid
from appliance.identity.tpm.session import open_tpm
from appliance.wire.residency import ResidencyChallenge, ResidencyProof, ResidencyRequest

_DIGEST_BYTES = 32


class TpmKeyStore:
    """Keys in the TPM that a TCTI string names."""

    assurance: Assurance = "tpm"

    def __init__(self, tcti: str = "") -> None:
        self.tcti = tcti

    def load(self, path: Path) -> TpmSigner:
        """Read the key's file; the TPM is not asked.

        Raises:
            KeyExposedError: others may read the file, or it is not ours.
            KeyStoreDiffersError: it holds a software key.
            KeyFileError: it is missing, a link, or no P-256 key below the SRK.
        """
        return TpmSigner(path, _parse(path, read_private(path)), self.tcti)

    def load_or_create(self, path: Path) -> TpmSigner:
        """Read the key's file, or make a key in the TPM if there is none; then see that the TPM knows it.

        Raises:
            KeyFileError: as `load`, or the file cannot be written.
            TpmError: the TPM is missing, refuses, or does not know the key.
        """
        if not path.is_symlink() and not path.exists():
            with open_tpm(self.tcti) as tpm:
                made = create_ldevid(tpm).to_pem()
            write_once(path, bytes(made))
        signer = self.load(path)
        signer.check()
        return signer

    def prepare(self, key_path: Path, configuration_path: Path) -> None:
        """See that the TPM knows the key, then start this program again with an OpenSSL that can use it.

        Raises:
            ProviderMissingError: there is no tpm2-openssl.
            KeyFileError, TpmError: the key or the TPM cannot be used.
        """
        wanted = provider.environment(self.tcti, configuration_path)
        if provider.is_entered(wanted):
            return
        if key_path.exists():
            # Here and not later: from then on OpenSSL has the line to the TPM, and there may be only one.
            self.load(key_path).check()
        provider.enter(wanted, configuration_path)

    def ek_sha256(self) -> bytes:
        """SHA-256 of the SubjectPublicKeyInfo of the endorsement key that a residency proof is made with: what a
        collector knows this TPM by.

        Raises:
            TpmError: the TPM is missing or refuses.
        """
        with open_tpm(self.tcti) as tpm, attestation.endorsement_key(tpm, attestation.endorsement(tpm)) as ek:
            return hashlib.sha256(ek.public.publicArea.to_der()).digest()

    def check_present(self) -> None:
        """See that the TPM answers.

        Raises:
            TpmMissingError: it does not.
        """
        with open_tpm(self.tcti):
            pass

    def clear_device(self) -> None:
        """TPM2_Clear: a new seed for the owner's hierarchy. IDevID and AK, of the endorsement hierarchy, stay.

        Raises:
            TpmError: the TPM is missing, or a password guards its lockout hierarchy.
        """
        with open_tpm(self.tcti) as tpm:
            tpm.esapi.clear(ESYS_TR.LOCKOUT)

    def idevid_request(self, request: x509.CertificateSigningRequestBuilder) -> bytes:
        """A PKCS#10 request in DER for the box's first identity, for its maker's CA.

        Raises:
            TpmError: the TPM is missing or refuses.
        """
        with open_tpm(self.tcti) as tpm, idevid(tpm) as key:
            return request.sign(tpm_ecc_private_key(tpm.esapi, key.handle), hashes.SHA256()).public_bytes(Encoding.DER)


class TpmSigner:
    """A `Signer`; made by `TpmKeyStore`."""

    def __init__(self, path: Path, blob: TSSPrivKey, tcti: str) -> None:
        self._path = path
        self._blob = blob
        self._tcti = tcti

    @property
    def assurance(self) -> Assurance:
        """Nobody can copy it."""
        return "tpm"

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The public half."""
        point = self._blob.public.publicArea.unique.ecc
        x, y = (int.from_bytes(bytes(number), "big") for number in (point.x, point.y))
        return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()

    def spki_der(self) -> bytes:
        """SubjectPublicKeyInfo in DER."""
        return self.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def sign_digest(self, digest: bytes) -> bytes:
        """ECDSA over a SHA-256 digest, DER.

        Raises:
            ValueError: the digest is not 32 bytes long.
            TpmError: the TPM is missing, refuses, or does not know the key.
        """
        if len(digest) != _DIGEST_BYTES:
            raise ValueError(f"a digest of {len(digest)} bytes came, {_DIGEST_BYTES} were allowed")
        scheme = TPMT_SIG_SCHEME(scheme=TPM2_ALG.ECDSA)
        scheme.details.any.hashAlg = TPM2_ALG.SHA256
        # Only a restricted key asks for proof that the TPM has made the digest itself.
        no_ticket = TPMT_TK_HASHCHECK(tag=TPM2_ST.HASHCHECK, hierarchy=TPM2_RH.NULL)
        with open_tpm(self._tcti) as tpm, ldevid(tpm, self._blob, str(self._path)) as key:
            # Kept until its numbers are copied: a part of a pytss structure does not keep the whole alive.
            made = tpm.esapi.sign(key.handle, digest, scheme, no_ticket)
        pair = made.signature.ecdsa
        r, s = (int.from_bytes(bytes(number), "big") for number in (pair.signatureR, pair.signatureS))
        return encode_dss_signature(r, s)

    def sign_request(self, request: x509.CertificateSigningRequestBuilder) -> bytes:
        """A PKCS#10 request in DER.

        Raises:
            TpmError: the TPM is missing, refuses, or does not know the key.
        """
        # Not by OpenSSL: tpm2-openssl 1.3.0 writes a parameter behind ecdsa-with-SHA256 that must not be there.
        with open_tpm(self._tcti) as tpm, ldevid(tpm, self._blob, str(self._path)) as key:
            return request.sign(tpm_ecc_private_key(tpm.esapi, key.handle), hashes.SHA256()).public_bytes(Encoding.DER)

    def check(self) -> None:
        """See that the TPM is there and knows the key.

        Raises:
            TpmError: it is not, or does not.
        """
        with open_tpm(self._tcti) as tpm, ldevid(tpm, self._blob, str(self._path)):
            pass

    def residency_request(self, csr_der: bytes) -> ResidencyRequest:
        """Who we are, for a proof that the key lives in this TPM.

        Raises:
            TpmError: the TPM is missing or refuses.
        """
        with open_tpm(self._tcti) as tpm:
            return attestation.residency_request(tpm, self._blob, csr_der)

    def residency_proof(self, challenge: ResidencyChallenge) -> ResidencyProof:
        """The answer to the collector's challenge.

        Raises:
            TpmError: the TPM is missing, does not know the key, or refuses, as it does with another TPM's challenge.
        """
        with open_tpm(self._tcti) as tpm:
            return attestation.residency_proof(tpm, self._blob, str(self._path), challenge)

    def load_into(self, context: ssl.SSLContext, certificate_path: Path) -> None:
        """See `Signer.load_into`.

        Raises:
            ProviderMissingError: OpenSSL in this process does not know tpm2-openssl, or one that is too old.
            CertificateInvalidError: the file is missing, or its first certificate is not this key's.
            TpmRefusedError: the TPM does not load the key.
        """
        provider.check_active()
        leaf = parse_pem(str(certificate_path), read_small(certificate_path))[0]
        if spki_der(leaf) != self.spki_der():
            raise CertificateInvalidError(
                f"{certificate_path}: not a certificate of the key {self._path}", advice="enroll again with a new token"
            )
        try:
            context.load_cert_chain(certificate_path, self._path)
        except OSError as exc:
            # Of ssl.SSLError too: OpenSSL says only that it could not, whatever the TPM's reason.
            raise TpmRefusedError(
                f"{self._path}: the TPM did not load the key: {exc.strerror or exc}",
                advice="is the TPM gone, was it cleared, is this another box's disk? start vedette anew: it says which",
            ) from exc


def _parse(path: Path, data: bytes) -> TSSPrivKey:
    """A TSS2 PEM: the form that tpm2-openssl reads as well.

    Raises:
        KeyStoreDiffersError: a key of another kind.
        KeyFileError: not whole, or not one of ours.
    """
    if TSS2_PEM not in data:
        raise KeyStoreDiffersError(
            f"{path}: a software key came, a key in a TPM was allowed",
            advice=f'{NEW_KEY}; or set [identity] key_store = "software"',
        )
    try:
        blob = TSSPrivKey.from_pem(data)
        area = blob.public.publicArea
        ours = (
            area.type == TPM2_ALG.ECC
            and area.parameters.eccDetail.curveID == TPM2_ECC.NIST_P256
            and blob.parent == SRK_HANDLE
            # Raises ValueError for a point that is not on the curve: better here than at the first use.
            and bool(area.to_der())
        )
    except (ValueError, TypeError, TSS2_Exception) as exc:
        raise KeyFileError(f"{path}: not a TSS2 private key in PEM", advice=NEW_KEY) from exc
    if not ours:
        raise KeyFileError(f"{path}: not a P-256 key below {SRK_HANDLE:#x}", advice=NEW_KEY)
    return blob
