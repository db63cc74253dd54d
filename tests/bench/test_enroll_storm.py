"""The storm in small: boxes that enroll all at once, at a collector with the usual limits, and none is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.enroll_storm import percentile, run, shown


@pytest.mark.parametrize(("tpm", "sensors"), [(False, 100), (True, 25)], ids=["software keys", "TPM keys"])
def test_all_boxes_enroll_at_once(tmp_path: Path, tpm: bool, sensors: int) -> None:
    result = run(tmp_path, sensors, sensors, tpm=tpm, nofile=1024)
    assert result["failures"] == {}
    assert (result["enrolled"], result["open_at_once"]) == (sensors, sensors)
    assert f"{sensors} of {sensors} enrolled" in shown(result)
    assert "Traceback" not in (tmp_path / "collector.log").read_text()


def test_a_limit_of_open_files_that_is_too_small_is_raised(tmp_path: Path) -> None:
    result = run(tmp_path, 60, 60, nofile=64)
    assert (result["enrolled"], result["failures"]) == (60, {})


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(number) for number in range(1, 101)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile([], 0.5)) == (51.0, 100.0, 0.0)
