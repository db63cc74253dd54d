"""The collector's certificate authority, in files. Front door: `Authority`, `SensorCertificate`, `TpmTrust`."""

from collector_client.pki.authority import PKI_NAME, Authority
from collector_client.pki.csr import CSR_ATTRIBUTES, CsrError, read_csr, read_csr_der
from collector_client.pki.profile import SensorCertificate
from collector_client.pki.tpm_trust import TpmTrust

__all__ = [
    "CSR_ATTRIBUTES",
    "PKI_NAME",
    "Authority",
    "CsrError",
    "SensorCertificate",
    "TpmTrust",
    "read_csr",
    "read_csr_der",
]
