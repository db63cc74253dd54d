"""A setup file is read whole or refused with line, key, what came, what was allowed; what is written is read back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.wire.enrollment import EnrollmentToken
from appliance.wire.setup_file import MAX_SETUP_BYTES, Setup, SetupFileError, Used, parse_setup
from appliance.wire.setup_render import render_setup, with_remark
from appliance.wire.setup_values import CHECKS, Network, Wrong

TOKEN = EnrollmentToken("t-abcdefghijkl", "S" * 40)
NETWORK = Network("192.0.2.5/24", "192.0.2.1", ("192.0.2.53", "2001:db8::53"), "52:54:00:12:34:56")
FULL = Setup(
    urls=("https://collector.example.net", "https://[2001:db8::9]:8443"),
    ca_pin="ab" * 32,
    token_id=TOKEN.token_id,
    token=TOKEN,
    proxy="http://user:p%40ss@proxy.example.net:3128",
    tenant='acme "quoted" \\ GmbH',
    site="Nord-Süd",
    network=NETWORK,
    interfaces=("enp2s0", "enp3s0"),
    install="unattended",
)
TEXT = render_setup(FULL)


@pytest.mark.parametrize(
    "setup",
    [
        FULL,
        replace(FULL, proxy="", network=Network(), interfaces=(), tenant="", site=""),
        replace(FULL, token=None, used=Used("s-" + "a" * 20, "2026-11-24T12:00:00Z")),
        replace(FULL, network=Network(interface_mac=NETWORK.interface_mac, dns=NETWORK.dns)),
        replace(FULL, network=Network("2001:db8::5/64", "fe80::1", (), NETWORK.interface_mac)),
    ],
)
def test_what_is_written_is_read_back(setup: Setup) -> None:
    assert parse_setup(render_setup(setup).encode()) == setup


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("tail", ["", "\n\n  \n", "# by hand"])
def test_editors_of_other_systems_are_fine(mark: bytes, end: str, tail: str) -> None:
    assert parse_setup(mark + (TEXT + tail).replace("\n", end).encode()) == FULL


def test_a_file_by_hand_with_blanks_dashes_and_upper_case_is_read_to_the_same_values() -> None:
    text = TEXT.replace("ab" * 32, "AB " * 32).replace("52:54:00:12:34:56", "52-54-00-12-34-56")
    text = text.replace('192.0.2.1"', ' 192.0.2.1 "')
    assert parse_setup(text.encode()) == FULL
    empty = TEXT.replace('gateway = "192.0.2.1"', 'gateway = ""')
    assert parse_setup(empty.encode()).network == replace(NETWORK, gateway="")


def line(start: str) -> str:
    """How an error names the line that begins so."""
    (number,) = (number for number, text in enumerate(TEXT.split("\n"), 1) if text.startswith(start))
    return f"line {number}: "


REFUSED = [
    (b"\xff\xfe[\0", "UTF-16 or binary data came"),
    (TEXT.encode("utf-16-be"), "UTF-16 or binary data came"),
    (TEXT.encode().replace(b"acme", b"acm\xe9"), line("tenant") + "byte 0xe9 came, a text in UTF-8 was allowed"),
    (b"#" * (MAX_SETUP_BYTES + 1), f"more than {MAX_SETUP_BYTES} bytes came"),
    (b"a." * 1000 + b"a = 1", "line 1: 2005 characters came"),
    (b"[collector\n", "no TOML"),
    (b"x = " + b"9" * 900, "x: no such key; allowed are install"),
    (b"x = " + b"[" * 900, "no TOML"),
    (b"", "[collector] urls: missing"),
    (TEXT.replace('install = "unattended"', 'install = "yes"').encode(), line("install") + "install: 'yes' came"),
    (TEXT.replace('install = "unattended"', "install = unattended").encode(), line("install") + "no TOML"),
    (TEXT.replace("address =", "adress =").encode(), line("address") + "[network] adress: no such key"),
    (TEXT.replace("[network]", "[netwrok]").encode(), line("[network]") + "[netwrok]: no such section"),
    (TEXT.replace("192.0.2.5/24", "192.0.2.5").encode(), line("address") + "[network] address: '192.0.2.5' came"),
    (TEXT.replace("192.0.2.5/24", "192.0.2.0/24").encode(), "'192.0.2.0/24' came, the address of a host"),
    (TEXT.replace("192.0.2.5/24", "192.0.2.255/24").encode(), "the address of a host was allowed"),
    (TEXT.replace("192.0.2.5/24", "192.0.2.5/255.255.255.0").encode(), "ADDRESS/PREFIX was allowed"),
    (TEXT.replace("192.0.2.5/24", "127.0.0.5/8").encode(), "the address of a host was allowed"),
    (
        TEXT.replace('"192.0.2.1"', '"192.0.3.1"').encode(),
        line("gateway") + "[network] gateway: 192.0.3.1 came",
    ),
    (TEXT.replace('"192.0.2.1"', '"192.0.2.5"').encode(), "another address than the box's own"),
    (TEXT.replace('address = "192.0.2.5/24"', "").encode(), "a gateway without an address came"),
    (TEXT.replace('interface_mac = "52:54:00:12:34:56"', "").encode(), "an address without interface_mac came"),
    (TEXT.replace("52:54:00:12:34:56", "53:54:00:12:34:56").encode(), "a MAC address was allowed"),
    (TEXT.replace("52:54:00:12:34:56", "00:00:00:00:00:00").encode(), "a MAC address was allowed"),
    (TEXT.replace('"192.0.2.53"', '"dns.example.net"').encode(), "an IP address was allowed"),
    (TEXT.replace('"192.0.2.53"', "53").encode(), "53 came, an IP address in quotation marks was allowed"),
    (TEXT.replace('"enp2s0"', '"../../etc"').encode(), "an interface's name was allowed"),
    (TEXT.replace('["enp2s0", "enp3s0"]', '"enp2s0"').encode(), "a list of 0 to 8"),
    (TEXT.replace("https://collector.example.net", "http://collector.example.net").encode(), "https://HOST[:PORT]"),
    (TEXT.replace("https://collector.example.net", "https://c/x").encode(), "https://HOST[:PORT]"),
    (TEXT.replace("https://collector.example.net", "https://u@c").encode(), "https://HOST[:PORT]"),
    (TEXT.replace("https://collector.example.net", "https://c:99999").encode(), "https://HOST[:PORT]"),
    (TEXT.replace("ab" * 32, "ab").encode(), "2 characters came, 64 hexadecimal digits"),
    (TEXT.replace("t-abcdefghijkl", "t\\u002Dabcdefghijkl").encode(), "token: escapes came"),
    (TEXT.replace('"Nord-Süd"', '"a\\tb"').encode(), "up to 64 printable characters"),
    (b'collector = "x"\n', "no such key"),
]


@pytest.mark.parametrize(("data", "told"), REFUSED, ids=[told for _, told in REFUSED])
def test_what_is_not_allowed_is_refused_by_name(data: bytes, told: str) -> None:
    with pytest.raises(SetupFileError) as refusal:
        parse_setup(data)
    assert told in str(refusal.value)
    assert TOKEN.secret not in str(refusal.value) + refusal.value.advice


def test_typographic_quotation_marks_are_named() -> None:
    with pytest.raises(SetupFileError) as refusal:
        parse_setup(TEXT.replace('"unattended"', "“unattended”").encode())
    assert "straight" in refusal.value.advice
    assert f"line {refusal.value.line}: " == line("install")


@pytest.mark.parametrize(
    ("before", "after"), [(str(TOKEN), "geheim-" + "x" * 40), ("http://user:p%40ss", "socks5://user:p%40ss")]
)
def test_a_wrong_secret_is_not_repeated(before: str, after: str) -> None:
    with pytest.raises(SetupFileError) as refusal:
        parse_setup(TEXT.replace(before, after).encode())
    assert "geheim" not in str(refusal.value)
    assert "p%40ss" not in str(refusal.value)
    assert TOKEN.secret not in repr(FULL)
    assert "p%40ss" not in repr(FULL)


@pytest.mark.parametrize("wiped", range(2, 41))
def test_a_secret_that_is_wiped_in_part_is_spent(wiped: int) -> None:
    """The first dots count: a power cut may leave the rest."""
    text = TEXT.replace(TOKEN.secret, "." * wiped + TOKEN.secret[wiped:])
    setup = parse_setup(text.encode())
    assert (setup.token, setup.token_id, setup.used) == (None, TOKEN.token_id, Used())


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_remark_of_a_used_file_is_read_and_keeps_the_files_line_ends(end: str) -> None:
    text = with_remark(TEXT.replace("\n", end), "s-" + "b" * 20, "2026-11-24T12:00:00Z")
    assert parse_setup(text.encode()).used == Used("s-" + "b" * 20, "2026-11-24T12:00:00Z")
    assert text.count("\n") == text.count(end)


LINES = TEXT.split("\n")


@st.composite
def bent(draw: st.DrawFn) -> bytes:
    """The file with lines left out, doubled, swapped or changed, and bytes put in."""
    lines = list(LINES)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        what = draw(st.sampled_from(("out", "twice", "value", "insert")))
        if what == "out" and len(lines) > 1:
            del lines[at]
        elif what == "twice":
            lines.insert(draw(st.integers(0, len(lines))), lines[at])
        elif what == "value":
            value = draw(st.sampled_from(("1", "true", "[]", "[[]]", '""', "{}", "1979-05-27", "nan", "'x'")))
            lines[at] = lines[at].partition("=")[0] + "= " + value
        else:
            cut = draw(st.integers(0, len(lines[at])))
            lines[at] = lines[at][:cut] + draw(st.text(max_size=8)) + lines[at][cut:]
    return "\n".join(lines).encode(errors="surrogatepass")


@given(st.one_of(st.binary(max_size=300), bent(), st.text(max_size=300).map(lambda text: text.encode())))
def test_any_bytes_end_in_a_setup_or_the_one_error(data: bytes) -> None:
    error, setup = "", None
    try:
        setup = parse_setup(data)
    except SetupFileError as refusal:
        error = str(refusal)
    assert error.isprintable()
    if setup is None:
        return
    assert parse_setup(render_setup(setup).encode()) == replace(
        setup, used=setup.used if setup.used is None or setup.used.sensor_id else Used()
    )


JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(CHECKS)), JSON_LIKE)
def test_any_value_of_any_key_is_taken_or_wrong(key: tuple[str, str], value: object) -> None:
    error, taken = "", object()
    try:
        taken = CHECKS[key](value)
    except Wrong as wrong:
        error = str(wrong)
    assert error.isprintable()
    assert error or isinstance(taken, str | tuple)
    if error:
        return
    assert not any("\n" in item or "\r" in item for item in ([taken] if isinstance(taken, str) else taken))
