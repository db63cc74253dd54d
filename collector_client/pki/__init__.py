"""The collector's certificate authority, in files. Front door: `Authority`, `SensorCertificate`."""

from collector_client.pki.authority import Authority
from collector_client.pki.csr import CsrError, read_csr
from collector_client.pki.profile import SensorCertificate

__all__ = ["Authority", "CsrError", "SensorCertificate", "read_csr"]
