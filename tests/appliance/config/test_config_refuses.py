"""A configuration file is used whole or refused with the key, what came and what was allowed."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.config import Config, ConfigError, default_toml, load_config, parse_config

REFUSED = [
    ("[nosuch]\n", "no such section"),
    ("[capture]\nthread = 2\n", "thread: no such key"),
    ("[capture]\nthreads = 0\n", "0 came, 1..64 was allowed"),
    ("[capture]\nthreads = true\n", "True came, a value of type int was allowed"),
    ("[capture]\nthreads = '2'\n", "'2' came, a value of type int was allowed"),
    ("[capture]\nchecksums = 'maybe'\n", "one of verify, ignore was allowed"),
    ("[capture]\ninterfaces = 'eth0'\n", "a list of strings was allowed"),
    ("[capture]\ninterfaces = ['eth0']\nfiles = ['a.pcap']\n", "one of them is allowed"),
    ("[rules]\nvariables = {A = 1}\n", "a table of strings was allowed"),
    ("[collector]\nurls = ['http://c.example']\n", "https://HOST[:PORT] was allowed"),
    ("[collector]\nca_pin = 'abc'\n", "64 hexadecimal digits were allowed"),
    ("[collector]\nproxy = 'socks5://p'\n", "http://[USER:PASSWORD@]HOST:PORT was allowed"),
    ("[alerts]\nsanitize_networks = ['10.0.0.0/99']\n", "ADDRESS/PREFIX was allowed"),
    ("[spool]\nmax_mib = 8\nsegment_mib = 8\n", "at most half of max_mib"),
    ("capture = 3\n", "a table was allowed"),
    ("[capture\n", "not a TOML file"),
    ("\xff", "not a TOML file"),
    ("x = " + "9" * 5000, "not a TOML file: Exceeds the limit"),
    ("[collector]\nurls = ['https://[::1']\n", "'https://[::1' came"),
    ("[collector]\nproxy = 'http://[::1'\n", "http://[USER:PASSWORD@]HOST:PORT was"),
]


@pytest.mark.parametrize(("text", "told"), REFUSED, ids=[told for _, told in REFUSED])
def test_what_is_not_allowed_is_refused_by_name(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "vedette.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError) as refusal:
        load_config(path)
    assert told in str(refusal.value)
    assert str(path) in str(refusal.value)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refusal:
        load_config(tmp_path / "absent.toml")
    assert "vedette config" in refusal.value.advice


def test_a_slip_of_the_pen_is_answered_with_the_key_that_was_meant() -> None:
    with pytest.raises(ConfigError) as refusal:
        parse_config({"uplink": {"heartbeats_s": 3}})
    assert refusal.value.advice == "Did you mean heartbeat_s?"


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "vedette.toml"
    path.write_text("")
    assert load_config(path) == Config()


def test_the_printed_defaults_are_the_defaults() -> None:
    lines = [line[2:] if line.startswith("# ") and " = " in line else line for line in default_toml().splitlines()]
    assert parse_config(tomllib.loads("\n".join(lines))) == Config()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c)
    )
)
def test_no_document_makes_anything_but_a_configuration_or_the_named_error(value: object) -> None:
    for section in ("capture", "rules", "collector", "alerts", "spool", "x"):
        try:
            parse_config({section: value})
        except ConfigError:
            continue
