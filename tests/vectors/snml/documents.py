"""A good document and the means to change one thing in it.

Rules of this file: building blocks only; cases are in accepted.py and refused.py.
"""

from __future__ import annotations

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
SENSOR = """\
  <sensor encoding="hex" detail="full">
    <ipaddr version="4">192.0.2.10</ipaddr>
    <interface>eth0</interface>
    <hostname>sensor1.example.org</hostname>
    <filter>not port 22</filter>
  </sensor>
"""
TCP = """\
      <iphdr saddr="198.51.100.7" daddr="192.0.2.80" proto="6" ver="4" hlen="5" tos="0" len="44" id="4711"
             flags="2" off="0" ttl="117" csum="30521">
        <tcphdr sport="3012" dport="80" flags="24" seq="2882343476" ack="305419896"
                off="6" res="0" win="17520" csum="4660" urp="0">
          <option code="2" len="2">05B4</option>
          <data>47455420</data>
        </tcphdr>
      </iphdr>
"""
IPV6_RAW = (
    "6000000000081140" + "20010DB8000000000000000000000001" + "20010DB8000000000000000000000002" + "0035C00000080000"
)
IPV6 = """\
    <extension name="ipv6">
      <ipv6hdr saddr="2001:db8::1" daddr="2001:db8::2" proto="17" ver="6" tclass="0"
               flow="0" len="8" hlim="64" doff="48">
        <udphdr sport="53" dport="49152" len="8" csum="0"/>
      </ipv6hdr>
    </extension>
"""
SEQUENCE = '    <extension name="sequence"><sequence epoch="1700000000" seq="1"/></extension>\n'


def event(packet: str = TCP, extensions: str = "", *, signature: str = "", timestamp: str = "") -> str:
    """One event, with the parts that are not given as in a good one."""
    return (
        "  <event>\n    "
        + (
            signature
            or '<signature id="1002" revision="5" class="web-application-attack" priority="1">probe</signature>'
        )
        + '\n    <reference system="cve">CVE-2000-0884</reference>\n    '
        + (timestamp or "<timestamp>2003-04-01T12:00:00.123000+00</timestamp>")
        + "\n    <packet>\n"
        + packet
        + "    </packet>\n"
        + extensions
        + "  </event>\n"
    )


def message(*events: str, sensor: str = SENSOR, declaration: str = DECLARATION) -> str:
    """A whole document."""
    return declaration + '<SNML-Message version="0.3">\n' + sensor + "".join(events or (event(),)) + "</SNML-Message>\n"


GOOD = message()


def swap(old: str, new: str, document: str = GOOD) -> str:
    """The document with one thing changed, which must be there once."""
    assert document.count(old) == 1, (document.count(old), old)
    return document.replace(old, new)
