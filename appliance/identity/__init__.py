"""Who this sensor is: its key, its certificate, and TLS that speaks for them."""

from appliance.identity.certificates import Life, SensorCertificate
from appliance.identity.errors import (
    AnswerInvalidError,
    CertificateExpiredError,
    CertificateInvalidError,
    CertificateNotSentError,
    ClientRefusedError,
    ConnectionLostError,
    KeyExposedError,
    KeyFileError,
    KeyStoreDiffersError,
    LinkError,
    NotEnrolledError,
    NotReachableError,
    ProviderMissingError,
    ProxyRefusedError,
    ServerExpiredError,
    TimeNotBelievedError,
    TpmError,
    TpmKeyLostError,
    TpmMissingError,
    TpmRefusedError,
    WrongCaError,
    WrongNameError,
)
from appliance.identity.folder import Identity, IdentityFolder
from appliance.identity.https import Answer, CollectorUrl, HttpsConnection, Proxy
from appliance.identity.keystore import AbsentKeyStore, KeyStore, SoftKeyStore, key_store
from appliance.identity.resumption import Resumption
from appliance.identity.signed_time import believed_time
from appliance.identity.signer import Assurance, ResidentSigner, Signer
from appliance.identity.softkey import SoftKey

__all__ = [
    "AbsentKeyStore",
    "Answer",
    "AnswerInvalidError",
    "Assurance",
    "CertificateExpiredError",
    "CertificateInvalidError",
    "CertificateNotSentError",
    "ClientRefusedError",
    "CollectorUrl",
    "ConnectionLostError",
    "HttpsConnection",
    "Identity",
    "IdentityFolder",
    "KeyExposedError",
    "KeyFileError",
    "KeyStore",
    "KeyStoreDiffersError",
    "Life",
    "LinkError",
    "NotEnrolledError",
    "NotReachableError",
    "ProviderMissingError",
    "Proxy",
    "ProxyRefusedError",
    "ResidentSigner",
    "Resumption",
    "SensorCertificate",
    "ServerExpiredError",
    "Signer",
    "SoftKey",
    "SoftKeyStore",
    "TimeNotBelievedError",
    "TpmError",
    "TpmKeyLostError",
    "TpmMissingError",
    "TpmRefusedError",
    "WrongCaError",
    "WrongNameError",
    "believed_time",
    "key_store",
]
