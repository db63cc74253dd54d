"""The certificate request: our key, our name made of it, nothing else.

Rules of this file: pure. The collector takes from a request only the key; site, tenant and rights come from the token.
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
