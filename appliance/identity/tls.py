"""TLS contexts bound to a signer, and names for what goes wrong in TLS; `enroll` and `uplink` use nothing else.

Rules of this file: TLS 1.3 only; the system's CA store is never consulted; the server's name is always checked once
there is a CA. The one context without verification is for fetching the CA itself, whose bytes are then held against
the pin.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from cryptography import x509

from appliance.identity.certificates import chain_to, life_of, parse_pem
from appliance.identity.errors import (
    CertificateInvalidError,
    ClientRefusedError,
    ConnectionLostError,
    LinkError,
    NotReachableError,
    ServerExpiredError,
    WrongCaError,
    WrongNameError,
)
from appliance.identity.signer import Signer

# X509_V_ERR_* of OpenSSL's x509_vfy.h.
_NOT_YET_VALID, _EXPIRED = 9, 10
# X509_V_FLAG_NO_CHECK_TIME, which Python has no name for.
_NO_CHECK_TIME = 0x200000
_NAMES = frozenset({62, 64})
# Reasons of an alert by which a server says that it does not like our certificate (RFC 8446 section 6.2).
_CLIENT_ALERTS = (
    "ALERT_BAD_CERTIFICATE",
    "ALERT_UNSUPPORTED_CERTIFICATE",
    "ALERT_CERTIFICATE_REVOKED",
    "ALERT_CERTIFICATE_EXPIRED",
    "ALERT_CERTIFICATE_UNKNOWN",
    "ALERT_CERTIFICATE_REQUIRED",
    "ALERT_UNKNOWN_CA",
    "ALERT_ACCESS_DENIED",
)


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def client_context(ca_path: Path, signer: Signer, certificate_path: Path) -> ssl.SSLContext:
    """For an enrolled sensor: its own certificate, and trust in its CA only.

    Raises:
        CertificateInvalidError: a file is missing, does not parse, or the certificate is not the signer's.
    """
    context = _context()
    try:
        context.load_verify_locations(ca_path)
    except OSError as exc:
        raise CertificateInvalidError(f"{ca_path}: no CA in it", advice="enroll again: vedette enroll") from exc
    signer.load_into(context, certificate_path)
    return context


def enrollment_context(ca_pem: bytes, *, dates: bool = True) -> ssl.SSLContext:
    """For the first enrollment: no certificate of ours, trust in the pinned CA only.

    Without `dates` OpenSSL leaves them alone, because it knows no clock but the system's: the caller has them judged
    by `check_dates` before anything is sent.

    Raises:
        CertificateInvalidError: the CA does not parse.
    """
    context = _context()
    try:
        context.load_verify_locations(cadata=ca_pem.decode("ascii"))
    except (ssl.SSLError, ValueError) as exc:
        raise CertificateInvalidError("the CA that came is not a certificate") from exc
    if not dates:
        context.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME)
    return context


def check_dates(where: str, leaf_der: bytes, ca_pem: bytes, now_ns: int) -> None:
    """Judge the dates of a server's chain, whose rest OpenSSL has verified, by a time of ours.

    Raises:
        ServerExpiredError: it does not hold at `now_ns`.
    """
    leaf, trusted = x509.load_der_x509_certificate(leaf_der), parse_pem(where, ca_pem)
    roots = [ca for ca in trusted if ca.subject == ca.issuer]
    chains = [[*chain, root] for root in roots if (chain := chain_to(root, leaf, trusted)) is not None]
    if not any(all(life_of(one).state(now_ns) in ("valid", "renew") for one in chain) for chain in chains):
        raise _out_of_date(where, "by the time that the collector has told")


def unverified_context() -> ssl.SSLContext:
    """For fetching the CA, and nothing else: what comes over it must be held against a pin."""
    context = _context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def named(error: OSError, where: str) -> LinkError:
    """What a failure of a socket or of TLS means to an operator."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _verification(error, where)
    if isinstance(error, ssl.SSLError):
        reason = error.reason or ""
        if any(alert in reason for alert in _CLIENT_ALERTS):
            return ClientRefusedError(
                f"{where}: the server refused our certificate: {_words(reason)}",
                advice="check the clock; vedette enroll --renew; if that is refused, enroll again with a new token",
            )
        if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError) or "UNEXPECTED_EOF" in reason:
            return ConnectionLostError(f"{where}: the connection was cut", advice=_PATH)
        if not reason:
            # So OpenSSL 3.5 ends a handshake that a vanished TPM should have signed; 3.0 leaves the certificate out.
            return NotReachableError(
                f"{where}: no TLS 1.3 connection: OpenSSL gave no reason",
                advice="with a key in a TPM: is the TPM there? start vedette anew, it checks the TPM",
            )
        return NotReachableError(
            f"{where}: no TLS 1.3 connection: {_words(reason)}",
            advice="is this the collector's port? does a middlebox break TLS open?",
        )
    if isinstance(error, ConnectionResetError | BrokenPipeError | ConnectionAbortedError):
        return ConnectionLostError(f"{where}: the connection was cut", advice=_PATH)
    if isinstance(error, TimeoutError):
        return NotReachableError(f"{where}: no answer in time", advice=_PATH)
    return NotReachableError(f"{where}: {error.strerror or error}", advice=_PATH)


_PATH = "check the address, the cable, the firewall and the proxy"


def _verification(error: ssl.SSLCertVerificationError, where: str) -> LinkError:
    if error.verify_code in _NAMES:
        return WrongNameError(
            f"{where}: the server's certificate is for another name",
            advice="use the name the collector was set up with (vedette-collector init --name)",
        )
    if error.verify_code in (_EXPIRED, _NOT_YET_VALID):
        return _out_of_date(where, error.verify_message)
    return WrongCaError(
        f"{where}: the server's certificate is not from the pinned CA: {error.verify_message}",
        advice="check the address, and that no TLS-inspecting proxy is in the way; if the collector was set up anew, or"
        " its root was replaced while this box was away, enroll again with the new pin and a new token",
    )


def _out_of_date(where: str, how: str) -> ServerExpiredError:
    return ServerExpiredError(
        f"{where}: the server's certificate is out of date: {how}",
        advice="check this box's clock; if it is right, the collector needs a new server certificate",
    )


def _words(reason: str) -> str:
    return reason.lower().replace("_", " ")
