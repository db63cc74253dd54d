"""Hypothesis strategies: any message that the encoder takes, and any way to break a tree.

Rules of this file: models here are within every range, in canonical text (what the decoder gives back); attacks are
elsewhere.
"""

from __future__ import annotations

import base64
import ipaddress

from hypothesis import strategies as st

from appliance.wire.snml import (
    Detail,
    Encoding,
    Event,
    EventId,
    Facts,
    Flow,
    IcmpHeader,
    IpHeader,
    Ipv6,
    Ipv6Header,
    Message,
    Option,
    Raw,
    Reference,
    Rule,
    Sensor,
    Sequence,
    Signature,
    TcpHeader,
    UdpHeader,
)
from appliance.wire.snml import fields as f


def unsigned(bits: int) -> st.SearchStrategy[int]:
    return st.integers(0, 2**bits - 1)


def maybe(strategy: st.SearchStrategy) -> st.SearchStrategy:
    return st.none() | strategy


ipv4 = st.integers(0, 2**32 - 1).map(lambda n: str(ipaddress.IPv4Address(n)))
# inet_ntop and ipaddress write IPv4-mapped addresses differently; the decoder's form is inet_ntop's.
ipv6 = st.integers(2**100, 2**128 - 1).map(lambda n: str(ipaddress.IPv6Address(n)))
visible = st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp", "Cn"))


def line(most: int, least: int = 1) -> st.SearchStrategy[str]:
    return st.text(visible, min_size=least, max_size=most)


word = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,20}", fullmatch=True).filter(str.isascii)
data = st.binary(max_size=80)
options = st.lists(st.builds(Option, unsigned(8), st.binary(max_size=f.MAX_OPTION_OCTETS)), max_size=5).map(tuple)

tcp = st.builds(
    TcpHeader, unsigned(16), unsigned(16), unsigned(8), maybe(unsigned(32)), maybe(unsigned(32)), maybe(unsigned(4)),
    maybe(unsigned(4)), maybe(unsigned(16)), maybe(unsigned(16)), maybe(unsigned(16)), options,
)  # fmt: skip
udp = st.builds(UdpHeader, unsigned(16), unsigned(16), maybe(unsigned(16)), maybe(unsigned(16)))
icmp = st.builds(IcmpHeader, unsigned(8), unsigned(8), maybe(unsigned(16)), maybe(unsigned(16)), maybe(unsigned(16)))


def transport(icmp_proto: int) -> st.SearchStrategy:
    """(protocol number, header) that belong together."""
    return st.one_of(
        st.tuples(st.just(6), tcp),
        st.tuples(st.just(17), udp),
        st.tuples(st.just(icmp_proto), icmp),
        st.tuples(unsigned(8), st.none()),
    )


@st.composite
def ip_headers(draw: st.DrawFn) -> IpHeader:
    proto, l4 = draw(transport(1))
    return IpHeader(
        draw(maybe(ipv4)), draw(maybe(ipv4)), proto,
        *(draw(maybe(unsigned(bits))) for bits in (4, 4, 8, 16, 16, 3, 13, 8, 16)),
        options=draw(options), l4=l4, data=draw(maybe(data)),
    )  # fmt: skip


@st.composite
def ipv6_packets(draw: st.DrawFn) -> tuple[Raw, Ipv6]:
    proto, l4 = draw(transport(58))
    raw = draw(st.binary(max_size=120))
    return Raw(raw), Ipv6(
        Ipv6Header(
            draw(maybe(ipv6)), draw(maybe(ipv6)), proto, 6, draw(maybe(unsigned(8))), draw(maybe(unsigned(20))),
            draw(maybe(unsigned(16))), draw(maybe(unsigned(8))), draw(maybe(st.integers(0, len(raw)))), l4,
        )
    )  # fmt: skip


references = st.lists(st.builds(Reference, word, line(60)), max_size=3).map(tuple)
community = st.binary(min_size=20, max_size=20).map(lambda b: "1:" + base64.b64encode(b).decode())
facts = st.lists(
    st.tuples(st.from_regex(r"[a-z][a-z0-9_.-]{0,15}", fullmatch=True), line(60, 0)), min_size=1, max_size=4
)


@st.composite
def events(draw: st.DrawFn) -> Event:
    packet, ipv6_extension = draw(
        st.one_of(ipv6_packets(), st.tuples(ip_headers(), st.none()), st.tuples(st.builds(Raw, data), st.none()))
    )
    sid, rev = draw(unsigned(32)), draw(unsigned(32))
    signature = Signature(
        draw(line(120)), draw(st.sampled_from((None, sid))), draw(st.sampled_from((None, rev))), draw(maybe(line(60))),
        draw(maybe(unsigned(8))),
    )  # fmt: skip
    extensions = [
        EventId(str(draw(st.uuids()))),
        Sequence(draw(unsigned(63)), draw(st.integers(1, 2**63 - 1))),
        Rule(draw(unsigned(32)), sid, rev),
        Flow(draw(unsigned(63)), draw(maybe(community)), draw(st.booleans()), draw(maybe(word))),
        Facts(tuple(draw(facts))),
    ]
    chosen = draw(st.lists(st.sampled_from(extensions), unique_by=lambda e: e.name, max_size=5))
    if ipv6_extension is not None:
        chosen.insert(draw(st.integers(0, len(chosen))), ipv6_extension)
    return Event(signature, draw(references), draw(unsigned(63)), packet, tuple(chosen))


@st.composite
def sensors(draw: st.DrawFn) -> Sensor:
    encoding, detail = draw(st.sampled_from(Encoding)), draw(st.sampled_from(Detail))
    name = draw(st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?", fullmatch=True))
    bpf = draw(maybe(line(40)))
    if draw(st.booleans()):
        return Sensor(encoding, detail, name, file=draw(line(60)), filter=bpf)
    version, address = draw(st.one_of(st.tuples(st.just(4), ipv4), st.tuples(st.just(6), ipv6)))
    return Sensor(encoding, detail, name, address, version, draw(maybe(line(15))), None, bpf)


messages = st.builds(Message, sensors(), st.lists(events(), min_size=1, max_size=3).map(tuple))
