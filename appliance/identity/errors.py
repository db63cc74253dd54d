"""What can be wrong with who we are and with whom we talk, by name and with advice.

Rules of this file: every error that leaves `identity`, and every failure of a connection that `enroll` and `uplink`
meet, is one of these. `ssl.SSLError` and `OSError` never leave the package.
"""

from __future__ import annotations

from appliance.errors import EnvironmentFault, OperatorError, PeerError


class KeyFileError(EnvironmentFault):
    """The key cannot be made, read or written."""


class KeyExposedError(KeyFileError):
    """Others than the owner may read the key: it is not to be trusted any more, so it is not used."""


class TpmError(KeyFileError):
    """Something with the TPM; base of what follows."""


class TpmMissingError(TpmError):
    """The TPM that the configuration asks for does not answer, or the software for it is not installed."""


class TpmRefusedError(TpmError):
    """The TPM answered with an error."""


class TpmKeyLostError(TpmError):
    """The TPM does not take the key's blob: it was cleared, or this is another box's TPM."""


class ProviderMissingError(TpmError):
    """OpenSSL in this process cannot use keys in a TPM."""


class ElementError(KeyFileError):
    """Something with the secure element; base of what follows."""


class ElementMissingError(ElementError):
    """There is no way to a secure element: no supervisor that listens, or none on its board."""


class ElementRefusedError(ElementError):
    """The secure element, or the supervisor for it, said no."""


class ElementKeyLostError(ElementError):
    """It is another secure element, or it has another key by now, than the one that this sensor is named by."""


class KeyStoreDiffersError(KeyFileError):
    """The key on disk is of another store than the configured one; it is never taken instead."""


class NotEnrolledError(OperatorError):
    """There is no certificate yet."""


class CertificateInvalidError(EnvironmentFault):
    """A certificate of ours does not parse, or belongs to another key or CA."""


class CertificateExpiredError(OperatorError):
    """Our certificate's life is over."""

    about_dates = True


class LinkError(PeerError):
    """No answer could be had from the collector; base of everything a connection meets."""


class NotReachableError(LinkError):
    """No connection: name not found, refused, timed out, no route."""


class ProxyRefusedError(LinkError):
    """The HTTP proxy did not connect us."""


class WrongCaError(LinkError):
    """The server's certificate was not issued by the pinned CA."""


class WrongNameError(LinkError):
    """The server's certificate is for another name."""


class ServerExpiredError(LinkError):
    """The server's certificate is out of date, or our clock is."""

    about_dates = True


class TimeNotBelievedError(PeerError):
    """What came is not the pinned collector's word for the time of this moment."""


class ClientRefusedError(LinkError):
    """The server does not take our certificate."""


class CertificateNotSentError(LinkError):
    """TLS came about without our certificate although we have one: OpenSSL does so when the key cannot sign."""


class ConnectionLostError(LinkError):
    """The connection broke before the whole answer came; whether the request was carried out is unknown."""


class AnswerInvalidError(LinkError):
    """What came back is not HTTP, or longer than an answer may be."""
