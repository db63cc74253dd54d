"""Documents that must be refused.

Rules of this file: name -> (document, code, index of the event or None, why); written by hand, never taken from the
decoder.
"""

from __future__ import annotations

from documents import DECLARATION, GOOD, IPV6, IPV6_RAW, SENSOR, SEQUENCE, TCP, event, message, swap

REFUSE: dict[str, tuple[str, str, int | None, str]] = {
    "empty": (" \n", "402 INPUT_EMPTY", None, "White space is no document."),
    "cut-off": (GOOD[:-20], "403 INPUT_MALFORMED", None, "A document that ends early is not well-formed."),
    "two-roots": (
        GOOD + "<SNML-Message/>",
        "403 INPUT_MALFORMED",
        None,
        "One root element only (XML 1.0 section 2.1).",
    ),
    "undeclared-entity": (
        swap(">probe<", ">&nbsp;<"),
        "403 INPUT_MALFORMED",
        None,
        "Entities of HTML are not declared.",
    ),
    "attribute-twice": (
        swap('proto="6"', 'proto="6" proto="6"'),
        "403 INPUT_MALFORMED",
        None,
        "XML allows an attribute once.",
    ),
    "latin-1-declared": (
        message(declaration='<?xml version="1.0" encoding="ISO-8859-1"?>\n'),
        "40302 XML_DECLARATION",
        None,
        "UTF-8 is the one encoding: two readings of the same octets are an attack.",
    ),
    "xml-1.1": (
        message(declaration='<?xml version="1.1"?>\n'),
        "40302 XML_DECLARATION",
        None,
        "XML 1.1 allows controls.",
    ),
    "declaration-of-2001": (
        message(declaration='<?xml version="1.0" encoding="UTF-8">\n'),
        "40302 XML_DECLARATION",
        None,
        "spo_xml closed its declaration with > instead of ?>.",
    ),
    "doctype": (
        message(declaration=DECLARATION + '<!DOCTYPE SNML-Message SYSTEM "snml-0.3.dtd">\n'),
        "40303 DOCTYPE_PRESENT",
        None,
        "The collector holds the DTD; a document that brings its own is refused before it is parsed.",
    ),
    "comment": (
        swap("  <event>", "  <!-- hidden --><event>"),
        "40304 MARKUP_PRESENT",
        None,
        "Nothing may hide beside the events.",
    ),
    "cdata": (
        swap(">probe<", "><![CDATA[probe]]><"),
        "40304 MARKUP_PRESENT",
        None,
        "Escaped text needs no CDATA section.",
    ),
    "processing-instruction": (
        swap("  <event>", "  <?x y?><event>"),
        "40304 MARKUP_PRESENT",
        None,
        "Nobody would obey it.",
    ),
    "report-of-0.2": (
        DECLARATION + "<report></report>\n",
        "40401 ROOT_UNKNOWN",
        None,
        "The root of 0.2; its events carry the sensor inside, which is another structure.",
    ),
    "unknown-element": (swap("<packet>", "<packet><port/>"), "40402 ELEMENT_UNEXPECTED", 0, "No such element."),
    "stray-text": (swap("<packet>", "<packet>x"), "40402 ELEMENT_UNEXPECTED", 0, "packet has elements only."),
    "wrong-order": (
        swap(
            '    <ipaddr version="4">192.0.2.10</ipaddr>\n    <interface>eth0</interface>\n',
            '    <interface>eth0</interface>\n    <ipaddr version="4">192.0.2.10</ipaddr>\n',
        ),
        "40402 ELEMENT_UNEXPECTED",
        None,
        "spo_xml wrote the interface before the address, against its own DTD.",
    ),
    "data-below-ipv6hdr": (
        swap(
            'len="8" csum="0"/>',
            'len="8" csum="0"><data/></udphdr>',
            message(event(f"      <raw>{IPV6_RAW}</raw>\n", IPV6)),
        ),
        "40402 ELEMENT_UNEXPECTED",
        0,
        "The payload of an IPv6 datagram is in raw, once. The DTD cannot say this.",
    ),
    "unknown-attribute": (
        swap('sport="3012"', 'sport="3012" window="1"'),
        "40403 ATTRIBUTE_UNKNOWN",
        0,
        "No such attribute.",
    ),
    "namespace": (
        swap(' version="0.3"', ' version="0.3" xmlns="urn:a"'),
        "40401 ROOT_UNKNOWN",
        None,
        "Another vocabulary's name.",
    ),
    "unused-namespace": (
        swap(' version="0.3"', ' version="0.3" xmlns:a="urn:a"'),
        "40403 ATTRIBUTE_UNKNOWN",
        None,
        "SNML has no namespaces.",
    ),
    "namespace-further-down": (
        swap("<reference system", '<reference xmlns:a="urn:a" system'),
        "40403 ATTRIBUTE_UNKNOWN",
        0,
        "Not even where nothing uses it.",
    ),
    "version-0.2": (swap(' version="0.3"', ' version="0.2"'), "40404 VERSION", None, "Only 0.3 is spoken."),
    "unknown-encoding": (swap('"hex"', '"rot13"'), "40405 TOKEN", None, "hex, base64 and ascii only."),
    "port-99999": (swap('sport="3012"', 'sport="99999"'), "40406 NUMBER", 0, "A DTD lets this pass."),
    "number-with-zero": (swap('ttl="117"', 'ttl="0117"'), "40406 NUMBER", 0, "Octal to some readers."),
    "number-arabic": (
        swap('ttl="117"', 'ttl="١١٧"'),
        "40406 NUMBER",
        0,
        "Digits of other scripts are digits to Python.",
    ),
    "number-sign": (swap('ttl="117"', 'ttl="+117"'), "40406 NUMBER", 0, "No sign."),
    "sequence-0": (
        swap('seq="1"', 'seq="0"', message(event(TCP, SEQUENCE))),
        "40406 NUMBER",
        0,
        "Sequence numbers start at 1.",
    ),
    "epoch-64-bits": (
        swap('epoch="1700000000"', 'epoch="9223372036854775808"', message(event(TCP, SEQUENCE))),
        "40406 NUMBER",
        0,
        "63 bits, the most that a signed integer of a database holds.",
    ),
    "address-999": (swap("198.51.100.7", "999.0.2.0"), "40407 ADDRESS", 0, "A DTD lets this pass."),
    "address-name": (swap("198.51.100.7", "host.example"), "40407 ADDRESS", 0, "Addresses, never names."),
    "address-short": (swap("198.51.100.7", "198.7"), "40407 ADDRESS", 0, "inet_aton takes this; we do not."),
    "address-ipv6-in-iphdr": (swap("198.51.100.7", "2001:db8::1"), "40407 ADDRESS", 0, "iphdr is IPv4."),
    "address-zone": (
        swap("2001:db8::1", "fe80::1%eth0", message(event(f"      <raw>{IPV6_RAW}</raw>\n", IPV6))),
        "40407 ADDRESS",
        0,
        "A zone means nothing on another host.",
    ),
    "timestamp-of-2001": (
        message(event(timestamp="<timestamp>2001-01-02 08:06:01+-05</timestamp>")),
        "40408 TIMESTAMP",
        0,
        "spo_xml's zone west of Greenwich.",
    ),
    "timestamp-without-zone": (
        message(event(timestamp="<timestamp>2001-01-02 08:06:01</timestamp>")),
        "40408 TIMESTAMP",
        0,
        "Local time of nobody knows where.",
    ),
    "timestamp-february-30": (
        message(event(timestamp="<timestamp>2004-02-30T00:00:00Z</timestamp>")),
        "40408 TIMESTAMP",
        0,
        "No such day.",
    ),
    "timestamp-2263": (
        message(event(timestamp="<timestamp>2263-01-01T00:00:00Z</timestamp>")),
        "40408 TIMESTAMP",
        0,
        "Beyond 63 bits of nanoseconds.",
    ),
    "hex-odd": (swap("47455420", "4745542"), "40409 DATA_ENCODING", 0, "Half an octet."),
    "hex-letter-g": (swap("47455420", "4G455420"), "40409 DATA_ENCODING", 0, "No hexadecimal digit."),
    "base64-padding": (
        swap("47455420", "R0VUIA=", message(sensor=SENSOR.replace('"hex"', '"base64"')).replace(">05B4<", ">BbQ=<")),
        "40409 DATA_ENCODING",
        0,
        "Padding must be whole.",
    ),
    "ascii-umlaut": (
        swap("47455420", "ä", message(sensor=SENSOR.replace('"hex"', '"ascii"'))),
        "40409 DATA_ENCODING",
        0,
        "ascii is 0x20 to 0x7E.",
    ),
    "empty-signature": (message(event(signature="<signature/>")), "40410 TEXT", 0, "A signature says something."),
    "escape-in-message": (
        swap(">probe<", ">&#x85;<"),
        "40410 TEXT",
        0,
        "Control characters forge lines and drive terminals.",
    ),
    "hostname-with-space": (swap("sensor1.example.org", "sensor 1"), "40410 TEXT", None, "No host name."),
    "uuid-upper-case": (
        message(
            event(
                TCP,
                '    <extension name="event-id"><event-id uuid="01234567-89AB-8DEF-8123-0123456789AB"/></extension>\n',
            )
        ),
        "40410 TEXT",
        0,
        "One form of a UUID, so that equal means equal text.",
    ),
    "tcp-below-udp": (swap('proto="6"', 'proto="17"'), "40411 PROTOCOL", 0, "Two readers would disagree."),
    "option-length": (
        swap('code="2" len="2"', 'code="2" len="3"'),
        "40412 OPTION_LENGTH",
        0,
        "len counts the octets that follow.",
    ),
    "extension-unknown": (
        message(event(TCP, '    <extension name="colour"><sequence epoch="1" seq="1"/></extension>\n')),
        "40413 EXTENSION_NAME",
        0,
        "The list of extensions is closed.",
    ),
    "extension-name-differs": (
        message(event(TCP, '    <extension name="rule"><sequence epoch="1" seq="1"/></extension>\n')),
        "40413 EXTENSION_NAME",
        0,
        "The name must be that of the content.",
    ),
    "extension-twice": (
        message(event(TCP, SEQUENCE + SEQUENCE)),
        "40414 EXTENSION_REPEATED",
        0,
        "Which one would count?",
    ),
    "rule-differs": (
        message(event(TCP, '    <extension name="rule"><rule gid="1" sid="9" rev="5"/></extension>\n')),
        "40415 EXTENSION_CONFLICT",
        0,
        "signature/@id says 1002.",
    ),
    "ipv6-beside-iphdr": (message(event(TCP, IPV6)), "40415 EXTENSION_CONFLICT", 0, "A packet has one IP header."),
    "ipv6-offset-outside": (
        swap('doff="48"', 'doff="49"', message(event(f"      <raw>{IPV6_RAW}</raw>\n", IPV6))),
        "40415 EXTENSION_CONFLICT",
        0,
        "The datagram has 48 octets.",
    ),
    "second-event-is-bad": (
        message(event(), event(timestamp="<timestamp/>"), event()),
        "40408 TIMESTAMP",
        1,
        "The events around it stay good.",
    ),
    "sensor-missing": (message(sensor=""), "40601 ELEMENT_MISSING", None, "Who speaks?"),
    "no-events": (
        DECLARATION + f'<SNML-Message version="0.3">\n{SENSOR}</SNML-Message>\n',
        "40601 ELEMENT_MISSING",
        None,
        "event+",
    ),
    "timestamp-missing": (
        swap("<timestamp>2003-04-01T12:00:00.123000+00</timestamp>", ""),
        "40601 ELEMENT_MISSING",
        0,
        "When?",
    ),
    "sport-missing": (swap('sport="3012" ', ""), "40602 ATTRIBUTE_MISSING", 0, "sport is required."),
    "message-1025": (swap(">probe<", ">" + "m" * 1025 + "<"), "40805 TEXT_TOO_LONG", 0, "1,024 characters at most."),
    "option-41": (
        swap('len="2">05B4<', ">" + "00" * 41 + "<"),
        "40806 DATA_TOO_LONG",
        0,
        "A header has 40 octets of options.",
    ),
    "options-41": (
        swap('          <option code="2" len="2">05B4</option>\n', '<option code="1"/>' * 41),
        "40807 ITEMS_TOO_MANY",
        0,
        "40 options at most.",
    ),
}
