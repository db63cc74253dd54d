"""Documents that must be accepted.

Rules of this file: name -> (document, why, what holds of the decoded message); written by hand, never taken from the
decoder.
"""

from __future__ import annotations

from documents import GOOD, IPV6, IPV6_RAW, SENSOR, SEQUENCE, TCP, event, message, swap

ACCEPT: dict[str, tuple[str, str, list[str]]] = {
    "good-tcp": (
        GOOD,
        "Every field of the sensor, of IPv4 and of TCP.",
        [
            "sensor.hostname = 'sensor1.example.org'",
            "events[0].signature.id = 1002",
            "events[0].timestamp_ns = 1049198400123000000",
            "events[0].packet.saddr = '198.51.100.7'",
            "events[0].packet.l4.options[0].data = b'\\x05\\xb4'",
            "events[0].packet.data = b'GET '",
        ],
    ),
    "good-sensor-reads-a-file": (
        swap(
            '    <ipaddr version="4">192.0.2.10</ipaddr>\n    <interface>eth0</interface>\n',
            "    <file>/x/y.pcap</file>\n",
        ),
        "A capture file takes the place of address and interface.",
        ["sensor.file = '/x/y.pcap'", "sensor.ipaddr = None"],
    ),
    "good-ipv6": (
        message(event(f"      <raw>{IPV6_RAW}</raw>\n", IPV6)),
        "0.3 has no IPv6 header: the datagram is raw, its header an extension; the payload begins at doff.",
        ["events[0].ipv6.header.daddr = '2001:db8::2'", "events[0].transport.sport = 53", "events[0].payload = b''"],
    ),
    "good-every-extension": (
        message(
            event(
                TCP,
                '    <extension name="event-id"><event-id uuid="01234567-89ab-8def-8123-0123456789ab"/></extension>\n'
                + SEQUENCE
                + '    <extension name="rule"><rule gid="1" sid="1002" rev="5"/></extension>\n'
                '    <extension name="flow"><flow id="77" community="1:LQU9qZlK+B5F3KDmev6m5PMibrg="'
                ' direction="to-server" app="http"/>'
                "</extension>\n"
                '    <extension name="facts"><fact name="http.host">example.org</fact>'
                '<fact name="http.url"></fact></extension>\n',
            )
        ),
        "All extensions but ipv6 at once.",
        [
            "events[0].sequence.epoch = 1700000000",
            "events[0].rule.gid = 1",
            "events[0].flow.to_server = True",
            "events[0].facts.items = (('http.host', 'example.org'), ('http.url', ''))",
        ],
    ),
    "good-masked": (
        message(
            event(
                '      <iphdr saddr="198.51.100.7" daddr="xxx.xxx.xxx.xxx" proto="1">\n'
                '        <icmphdr type="8" code="0"/>\n      </iphdr>\n'
            )
        ),
        "A masked address, as the 2001 plug-in wrote it.",
        ["events[0].packet.daddr = None", "events[0].packet.l4.type = 8"],
    ),
    "good-wrapped-base64": (
        swap(
            "<data>47455420</data>",
            "<data>R0VU\nIA==\n</data>",
            message(sensor=SENSOR.replace('"hex"', '"base64"')).replace(">05B4<", ">BbQ=<"),
        ),
        "The 2001 plug-in wrapped base64; white space inside hex and base64 is skipped.",
        ["events[0].packet.data = b'GET '", "events[0].packet.l4.options[0].data = b'\\x05\\xb4'"],
    ),
    "good-ascii": (
        swap("<data>47455420</data>", "<data>GET /&lt;.. </data>", message(sensor=SENSOR.replace('"hex"', '"ascii"'))),
        "ascii cannot be undone: the characters are taken as they stand, spaces included. Options are hex.",
        ["events[0].packet.data = b'GET /<.. '", "events[0].packet.l4.options[0].data = b'\\x05\\xb4'"],
    ),
    "good-space-and-hour-zone": (
        message(event(timestamp="<timestamp>1999-08-04 00:01:23-05</timestamp>")),
        "The form of the published text: a space, no fraction, whole hours of zone.",
        ["events[0].timestamp_ns = 933742883000000000"],
    ),
    "good-nanoseconds-and-comma": (
        message(event(timestamp="<timestamp>1970-01-01T05:30:00,000000001+05:30</timestamp>")),
        "ISO 8601 also allows a comma and minutes of zone.",
        ["events[0].timestamp_ns = 1"],
    ),
    "good-protocol-without-header": (
        message(event('      <iphdr saddr="198.51.100.7" daddr="192.0.2.80" proto="47"><data>00</data></iphdr>\n')),
        "GRE has no element of its own; its octets are data of iphdr.",
        ["events[0].packet.data = b'\\x00'", "events[0].packet.l4 = None"],
    ),
    "good-character-references": (
        message(event(signature="<signature>&#x41; &amp;&#38;&#x20AC;</signature>")),
        "Character references and the five named entities are part of XML itself.",
        ["events[0].signature.text = 'A &&€'"],
    ),
    "good-no-declaration": (message(declaration=""), "XML 1.0 in UTF-8 needs no declaration.", []),
    "good-no-version": (swap(' version="0.3"', ""), "A fixed attribute may be left out.", []),
}
