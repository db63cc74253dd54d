"""The certificate request: our key, the name that it is to bear, nothing else.

Rules of this file: pure but for the signers. The collector takes from a request only the key; site, tenant and rights
come from the token. Other EST servers may hold the names of a renewal against those in force (RFC 7030 section 4.2.2).
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from cryptography import x509
from cryptography.x509.oid import NameOID

from appliance.identity import Signer, VouchedSigner
from appliance.wire.element import ElementEnrollment
from appliance.wire.enrollment import RecoveryRequest, sensor_id


def certificate_request(signer: Signer) -> bytes:
    """A PKCS#10 request in DER with the sensor's id as common name."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, sensor_id(signer.spki_der()))])
    return signer.sign_request(x509.CertificateSigningRequestBuilder().subject_name(name))


def renewal_request(signer: Signer, present: x509.Certificate) -> bytes:
    """A PKCS#10 request in DER for `signer`'s key in the name of the certificate that it is to take the place of.

    Subject and SubjectAltName are the certificate's own, as RFC 7030 section 4.2.2 demands.
    """
    builder = x509.CertificateSigningRequestBuilder().subject_name(present.subject)
    try:
        names = present.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return signer.sign_request(builder)
    return signer.sign_request(builder.add_extension(names.value, critical=names.critical))


def vouched_request(voucher: Signer, name: str, request: bytes) -> RecoveryRequest:
    """A request with the word of a key that the collector knows; `name` is the sensor's id.

    Raises:
        KeyFileError: the key cannot sign now.
    """
    asked = RecoveryRequest(name, sensor_id(voucher.spki_der()), request)
    return replace(asked, proof_der=voucher.sign_digest(hashlib.sha256(asked.statement()).digest()))


def element_enrollment(signer: VouchedSigner) -> ElementEnrollment:
    """The first word of a secure element: its own request, and that for the key that it signs for.

    Raises:
        ElementError: the element cannot sign now.
    """
    name = sensor_id(signer.voucher.spki_der())
    asked = vouched_request(signer.voucher, name, certificate_request(signer))
    return ElementEnrollment(certificate_request(signer.voucher), asked)
