"""The collector's certificate authorities. Front door: `Authority`, `Chains`, `SensorCertificate`, `TpmTrust`."""

from collector_client.pki.authority import PKI_NAME, Authority
from collector_client.pki.chains import Chains, load_chains
from collector_client.pki.csr import CSR_ATTRIBUTES, CsrError, read_csr, read_csr_der
from collector_client.pki.keys import KeyFault, KeyPlaces
from collector_client.pki.profile import SensorCertificate
from collector_client.pki.tpm_trust import TpmTrust

__all__ = [
    "CSR_ATTRIBUTES",
    "PKI_NAME",
    "Authority",
    "Chains",
    "CsrError",
    "KeyFault",
    "KeyPlaces",
    "SensorCertificate",
    "TpmTrust",
    "load_chains",
    "read_csr",
    "read_csr_der",
]
