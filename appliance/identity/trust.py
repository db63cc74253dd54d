"""Which of the CAs that a collector tells of are believed: those below a root that is trusted already, and a new root
for which a trusted one vouches.

A root vouches for its successor by a certificate over the new root's key, under the one name that both have
(NewWithOld, RFC 4210 section 4.4, told by /cacerts, RFC 7030 section 4.1.3). So only who holds an old root's key, which
is offline, can bring a new root; who holds an issuing CA, or sits on the line with a server's stolen key, cannot.

    a root told of                         is
    trusted already                        kept
    vouched for by a trusted root, or by   trusted from now on
      a root that one vouches for
    else                                   forgotten
    (a root trusted already that is not told of any more is dropped, once another is left)

Rules of this file: certificates and a time in, certificates out. It is asked only about what came from a server that
the present trust has verified, or, at the first enrollment, with the pinned root alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509

from appliance.identity.certificates import chain_to, is_ca, issued, life_of, spki_der


def anchors_of(certificates: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """The roots among them: CAs that signed themselves."""
    return [one for one in certificates if is_ca(one) and issued(one, one)]


def follow(
    trusted: Sequence[x509.Certificate], told: Sequence[x509.Certificate], now_ns: int
) -> list[x509.Certificate]:
    """What is trusted after `told` came: roots, then the CAs below them. Empty: no root of it can be believed, and the
    old trust must stay.

    `trusted` is what was trusted before; only its roots count.
    """
    before = anchors_of(trusted)
    links = _believed_links(before, told, now_ns)
    roots = [one for one in anchors_of(told) if one in before or any(_same(one, link) for link in links)]
    below = [
        one
        for one in told
        if one not in roots and one.subject != one.issuer and any(chain_to(root, one, told) for root in roots)
    ]
    return [*roots, *below] if roots else []


def leads_to(
    trusted: Sequence[x509.Certificate], leaf: x509.Certificate, between: Sequence[x509.Certificate]
) -> list[x509.Certificate] | None:
    """`leaf` and the CAs that lead from it to one of the trusted roots, or None when none do."""
    chains = (chain_to(root, leaf, between) for root in anchors_of(trusted))
    return next((chain for chain in chains if chain is not None), None)


def _believed_links(
    roots: Sequence[x509.Certificate], told: Sequence[x509.Certificate], now_ns: int
) -> list[x509.Certificate]:
    """Links from the roots on, over any number of steps: a box may have missed more than one roll-over."""
    waiting = [one for one in told if one.subject == one.issuer and is_ca(one) and not issued(one, one)]
    waiting = [one for one in waiting if life_of(one).state(now_ns) in ("valid", "renew")]
    believed: list[x509.Certificate] = []
    while found := [one for one in waiting if any(issued(one, voucher) for voucher in [*roots, *believed])]:
        believed += found
        waiting = [one for one in waiting if one not in found]
    return believed


def _same(root: x509.Certificate, link: x509.Certificate) -> bool:
    return root.subject == link.subject and spki_der(root) == spki_der(link)
