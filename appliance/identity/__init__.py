"""Who this sensor is: its key, its certificate, and TLS that speaks for them."""

from appliance.identity.certificates import Life, SensorCertificate
from appliance.identity.errors import (
    AnswerInvalidError,
    CertificateExpiredError,
    CertificateInvalidError,
    ClientRefusedError,
    ConnectionLostError,
    KeyExposedError,
    KeyFileError,
    LinkError,
    NotEnrolledError,
    NotReachableError,
    ProxyRefusedError,
    ServerExpiredError,
    WrongCaError,
    WrongNameError,
)
from appliance.identity.folder import Identity, IdentityFolder
from appliance.identity.https import Answer, CollectorUrl, HttpsConnection, Proxy
from appliance.identity.signer import Assurance, Signer
from appliance.identity.softkey import SoftKey

__all__ = [
    "Answer",
    "AnswerInvalidError",
    "Assurance",
    "CertificateExpiredError",
    "CertificateInvalidError",
    "ClientRefusedError",
    "CollectorUrl",
    "ConnectionLostError",
    "HttpsConnection",
    "Identity",
    "IdentityFolder",
    "KeyExposedError",
    "KeyFileError",
    "Life",
    "LinkError",
    "NotEnrolledError",
    "NotReachableError",
    "Proxy",
    "ProxyRefusedError",
    "SensorCertificate",
    "ServerExpiredError",
    "Signer",
    "SoftKey",
    "WrongCaError",
    "WrongNameError",
]
