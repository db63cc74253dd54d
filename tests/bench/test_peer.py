"""The peer is fetched from this machine's own Debian archive and measured with its packaged settings, alerts only."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import peer

YAML = """%YAML 1.1
---
vars:
  address-groups:
    HOME_NET: "[10.0.0.0/8]"
classification-file: /etc/suricata/classification.config
stats:
  enabled: yes
  interval: 8
outputs:
  # a line of comment
  - fast:
      enabled: yes

  - eve-log:
      types:
        - alert:
            tagged-packets: yes
        - http
logging:
  default-log-level: notice
"""


def apt(folder: Path, name: str, text: str) -> Path:
    (folder / "sources.list.d").mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder


def test_archive_is_read_from_deb822_sources(tmp_path: Path) -> None:
    text = "Types: deb\nURIs: http://third.example/x\nSuites: y\n\nTypes: deb\n# of a day\nURIs: http://mirror.example/debian/\n"
    sources = apt(tmp_path, "sources.list.d/debian.sources", text + "Suites: bookworm\nSigned-By: /usr/share/k.gpg\n")
    assert peer.debian_mirror(sources) == ("http://mirror.example/debian/", "/usr/share/k.gpg")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("deb http://mirror.example/debian bookworm main", ("http://mirror.example/debian", None)),
        (
            "deb [arch=amd64 signed-by=/k.gpg] http://m.example/debian bookworm main",
            ("http://m.example/debian", "/k.gpg"),
        ),
    ],
)
def test_archive_is_read_from_one_line_sources(tmp_path: Path, line: str, found: tuple[str, str | None]) -> None:
    assert peer.debian_mirror(apt(tmp_path, "sources.list", f"# deb http://no.example/debian x\n{line}\n")) == found


def test_machine_without_debian_archive_is_told_what_to_add(tmp_path: Path) -> None:
    with pytest.raises(peer.PeerError, match="name no Debian archive"):
        peer.debian_mirror(apt(tmp_path, "sources.list", "deb http://mirror.example/other x main\n"))


def test_configuration_keeps_everything_but_outputs_and_statistics(tmp_path: Path) -> None:
    (tmp_path / "etc/suricata").mkdir(parents=True)
    (tmp_path / "etc/suricata/suricata.yaml").write_text(YAML)
    text = peer.configuration(tmp_path)
    before, _, rest = text.partition("outputs:\n")
    assert before == YAML.partition("outputs:\n")[0].replace("/etc/", f"{tmp_path}/etc/").replace("d: yes", "d: no")
    assert "- http\n" not in rest
    assert "- alert\n" in rest
    assert rest.endswith("logging:\n  default-log-level: notice\n")


def test_tree_without_loader_is_refused(tmp_path: Path) -> None:
    with pytest.raises(peer.PeerError, match="no dynamic loader"):
        peer.version(tmp_path)
