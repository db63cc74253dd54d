"""Whether a signed time is believed: by a pin, a nonce and a floor, and never by this box's own clock.

    refused                                   because
    another nonce                             it was made for somebody else, or earlier
    a chain that does not lead to the pin     anybody can sign
    not a server's certificate, another name  a sensor's key or another server's must not tell the time
    dates that do not hold the time told      a key that leaked long ago tells only times of its own day
    before the floor                          and those are over: the floor is later than any of them

Rules of this file: pure; bytes, names and times in, a time out. Dates are judged by the time told, because a clock of
1970 can judge none; what keeps an old certificate from being used with an old time is the floor.
"""

from __future__ import annotations

import hmac
import ipaddress
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from appliance.identity.certificates import pinned_root
from appliance.identity.errors import CertificateInvalidError, TimeNotBelievedError
from appliance.wire.signed_time import SignedTime, time_statement

MAX_ROUND_TRIP_NS = 30 * 10**9
"""The time told is uncertain by the way's length; beyond this it is no use for judging a fresh certificate."""
_SECOND_NS = 10**9
_LAST_S = 253_402_300_799
"""9999-12-31T23:59:59Z, the last second that a certificate can name (RFC 5280 section 4.1.2.5)."""


def believed_time(
    told: SignedTime, *, where: str, host: str, nonce: str, pin: str, floor_ns: int, round_trip_ns: int
) -> int:
    """The time at the end of the round trip, in nanoseconds since 1970. `where` is the collector in errors.

    Raises:
        TimeNotBelievedError: by the name of the reason.
    """
    if not hmac.compare_digest(told.nonce, nonce):
        raise _no(where, "it was made for another question", "this one's nonce")
    if round_trip_ns > MAX_ROUND_TRIP_NS:
        raise _no(where, f"the answer took {round_trip_ns // _SECOND_NS} s", f"{MAX_ROUND_TRIP_NS // _SECOND_NS} s")
    if told.time_ns < floor_ns:
        raise _no(where, f"it tells {_shown(told.time_ns)}", f"{_shown(floor_ns)} or later: an old time is replayed")
    leaf = _verified(told, where, host, pin)
    try:
        key = leaf.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise _no(where, "the server's key is of another kind", "an elliptic-curve key")
        key.verify(told.signature, time_statement(told.nonce, told.time_ns), ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError, UnsupportedAlgorithm) as exc:
        raise _no(where, "the signature is not the server key's", "its own") from exc
    return told.time_ns + round_trip_ns // 2


def _verified(told: SignedTime, where: str, host: str, pin: str) -> x509.Certificate:
    """The leaf, whose chain holds at the time told."""
    try:
        leaf, *above = [x509.load_der_x509_certificate(der) for der in told.chain]
        root = pinned_root(above, pin)
    except (ValueError, UnsupportedAlgorithm, CertificateInvalidError, x509.InvalidVersion) as exc:
        raise _no(where, "a certificate of its chain does not parse", "DER certificates") from exc
    if root is None:
        raise _no(where, "its chain does not end in the pinned root", f"the root of {pin[:16]}…")
    when = datetime.fromtimestamp(min(told.time_ns // _SECOND_NS, _LAST_S), UTC)
    try:
        verifier = PolicyBuilder().store(Store([root])).time(when).build_server_verifier(_subject(host))
        verifier.verify(leaf, [ca for ca in above if ca != root])
    except (VerificationError, ValueError, UnsupportedAlgorithm) as exc:
        allowed = f"a server's certificate for {host} below the pinned root, good at {_shown(told.time_ns)}"
        raise _no(where, f"its chain does not hold: {exc}", allowed) from exc
    return leaf


def _subject(host: str) -> x509.DNSName | x509.IPAddress:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _no(where: str, came: str, allowed: str) -> TimeNotBelievedError:
    return TimeNotBelievedError(
        f"{where}: a time came that is not believed: {came}; allowed: {allowed}",
        advice="is somebody between? check [collector] urls and ca_pin; or set the clock by hand",
    )


def _shown(ns: int) -> str:
    return datetime.fromtimestamp(min(ns // _SECOND_NS, _LAST_S), UTC).isoformat(timespec="seconds")
