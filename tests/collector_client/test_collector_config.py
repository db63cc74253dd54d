"""collector.toml: every key works when absent, what `init` writes reads back, and anything else is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector_client.config import Config, load_config, parse_config, parse_listen, write_config
from collector_client.errors import OperatorError
from collector_client.tokens import parse_span


def test_an_empty_file_is_the_default() -> None:
    assert parse_config({}) == Config()


def test_what_init_writes_reads_back(tmp_path: Path) -> None:
    write_config(tmp_path, names=("a.example", "192.0.2.1"), listen="0.0.0.0:443")
    config = load_config(tmp_path)
    assert config.collector.names == ("a.example", "192.0.2.1")
    assert config == parse_config(
        {"collector": {"names": ["a.example", "192.0.2.1"]}, "ingest": {"listen": "0.0.0.0:443"}}
    )


def test_every_commented_default_may_be_uncommented(tmp_path: Path) -> None:
    write_config(tmp_path, names=(), listen=Config().ingest.listen)
    path = tmp_path / "collector.toml"
    lines = [line.removeprefix("# ") if " = " in line else line for line in path.read_text().splitlines()]
    path.write_text("\n".join(lines))
    assert load_config(tmp_path) == Config()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[ingest", "not a TOML file"),
        ("\xff", "not a TOML file"),
        ("x = 1", r"\[x\] came"),
        ("[nothing]", r"\[nothing\] came"),
        ("[ingest]\nlissten = '0.0.0.0:1'", r"\[ingest\] lissten: no such key"),
        ("[ingest]\nlisten = 443", "443 came, a value of type str"),
        ("[ingest]\nlisten = '443'", r"\[ingest\] listen: '443' came, HOST:PORT"),
        ("[page]\nlisten = '::1:80'", "in brackets"),
        ("[collector]\nproduction = 1", "type bool"),
        ("[collector]\nnames = 'a'", "a list of strings"),
        ("[quota]\nsensor_events_per_minute = 0", "0 came, 1 to 100000000"),
        ("[quota]\nsensor_events_per_minute = true", "type int"),
        ("a = " + "[" * 5000, "not a TOML file"),
        ("a = " + "9" * 5000, "not a TOML file"),
        ("#" * 70_000, "at most that was allowed"),
    ],
)
def test_what_is_not_allowed_is_named_with_the_file(tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / "collector.toml").write_text(text, encoding="latin-1")
    with pytest.raises(OperatorError, match=named) as caught:
        load_config(tmp_path)
    assert "collector.toml" in str(caught.value)


def test_a_folder_without_a_collector_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(OperatorError) as caught:
        load_config(tmp_path)
    assert "vedette-collector init" in caught.value.advice


@pytest.mark.parametrize(
    ("text", "expected"),
    [("192.0.2.1:443", ("192.0.2.1", 443)), ("[::1]:0", ("::1", 0)), ("collector:65535", ("collector", 65535))],
)
def test_an_address_to_listen_on_is_read(text: str, expected: tuple[str, int]) -> None:
    assert parse_listen(text) == expected


@given(st.text(max_size=30))
def test_any_address_is_read_or_refused(text: str) -> None:
    try:
        host, port = parse_listen(text)
    except OperatorError:
        return
    assert host
    assert 0 <= port <= 65_535


@pytest.mark.parametrize(("text", "seconds"), [("30m", 1800), ("24h", 86_400), ("90d", 7_776_000)])
def test_a_span_is_read(text: str, seconds: int) -> None:
    assert parse_span(text) == seconds


@pytest.mark.parametrize("text", ["", "0h", "24", "1w", "91d", "-1h", "1h ", "999999999d", "١h"])
def test_another_span_is_refused(text: str) -> None:
    with pytest.raises(OperatorError):
        parse_span(text)
