"""The certificate request: our key, the name that it is to bear, nothing else.

Rules of this file: pure. The collector takes from a request only the key; site, tenant and rights come from the token.
Other EST servers may hold the names of a renewal against those in force (RFC 7030 section 4.2.2).
"""

from __future__ import annotations

from cryptography import x509
from cryptography.x509.oid import NameOID

from appliance.identity import Signer
from appliance.wire.enrollment import sensor_id


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
