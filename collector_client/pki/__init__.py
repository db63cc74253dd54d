"""The collector's certificate authority, in files. Front door: `Authority`, `SensorCertificate`."""

from collector_client.pki.authority import PKI_NAME, Authority
from collector_client.pki.csr import CsrError, read_csr, read_csr_der
from collector_client.pki.profile import SensorCertificate

__all__ = ["PKI_NAME", "Authority", "CsrError", "SensorCertificate", "read_csr", "read_csr_der"]
