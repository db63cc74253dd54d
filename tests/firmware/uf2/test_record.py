"""What stands beside the images: sums that sha256sum reads, and what they were made of."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from firmware.uf2.sources import MBEDTLS, MICROPYTHON, SOURCES, there
from firmware.uf2.sums import SUMS, differing, record_text, sums_of, sums_text


def test_sha256sum_itself_checks_the_sums_and_sees_a_changed_octet(tmp_path: Path) -> None:
    (tmp_path / "one.uf2").write_bytes(b"one")
    (tmp_path / "two.uf2").write_bytes(b"two")
    (tmp_path / SUMS).write_text(sums_text(sums_of(tmp_path, ["two.uf2", "one.uf2"])), encoding="ascii")
    check = ["sha256sum", "--check", "--strict", SUMS]
    assert subprocess.run(check, cwd=tmp_path, check=False, capture_output=True).returncode == 0
    (tmp_path / "one.uf2").write_bytes(b"one more")
    assert subprocess.run(check, cwd=tmp_path, check=False, capture_output=True).returncode == 1


def test_two_builds_differ_by_name_also_when_one_lacks_a_file() -> None:
    assert differing({"a": "1", "b": "2"}, {"a": "1", "b": "2"}) == []
    assert differing({"a": "1", "b": "2"}, {"a": "1", "b": "3", "c": "4"}) == ["b", "c"]


def test_the_record_names_each_source_by_its_sum() -> None:
    record = json.loads(
        record_text(
            "0.1.0",
            1_767_225_600,
            SOURCES,
            "# why\none==1 \\\n    --hash=sha256:00\n",
            {"picotool": "2.1.1", "cmake": "3.31"},
        )
    )
    assert record["sources"]["micropython"]["sha256"] == MICROPYTHON.sha256
    assert record["pypi"] == ["one==1     --hash=sha256:00"]
    assert record["source_date_epoch"] == 1_767_225_600
    assert list(record["tools"]) == ["cmake", "picotool"]


def test_an_archive_that_is_not_the_pinned_one_is_not_taken(tmp_path: Path) -> None:
    assert not there(tmp_path, MBEDTLS)
    (tmp_path / MBEDTLS.archive).write_bytes(b"another mbedtls")
    assert not there(tmp_path, MBEDTLS)
