"""The power is cut at every moment of enrollment, renewal and recovery; the box comes up again, and all ends well.

Moments are those that a run passes (tests/fakes/dying_box.py), so a new step is cut by itself; the tables of steps say
which must be among them.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.enroll.asking import ask
from appliance.enroll.renew import NEXT as STAGES
from appliance.enroll.steps import NEXT as STEPS
from appliance.identity import CollectorUrl, IdentityFolder
from appliance.wire.session import CONFIG_PATH
from collector_client.care import verify_store
from tests.collector_client.boxes import Box
from tests.collector_client.harness import Collector
from tests.collector_client.ingest.test_box_renews import many
from tests.collector_client.ingest.test_killed import Child
from tests.fakes.dying_box import Job

TOO_MANY = 300

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    made = Collector(tmp_path / "collector", many)
    yield made.start()
    made.stop()


def keys_of(collector: Collector, sensor: str) -> list[tuple[object, ...]]:
    """(key, used, open) of each key that was ever issued a certificate, oldest first."""
    return collector.control(
        "SELECT key_id, first_used_ns IS NOT NULL, ends_ns IS NULL FROM sensor_keys WHERE sensor_id = ? ORDER BY rowid",
        sensor,
    )


def ends_well(box: Box, job: Job, moment: str) -> list[tuple[object, ...]]:
    """The box is switched on again: it gets where it wanted, and of its certificates exactly one is in force."""
    done = box.run(job)
    assert done.returncode == 0, f"after {moment}: {done.stderr}"
    said = json.loads(done.stdout.splitlines()[-1])
    assert (said["taken"], said["stage"]) == (200, "SETTLED"), moment
    keys = keys_of(box.collector, said["sensor"])
    assert [key for key, used, is_open in keys if is_open] == [said["key"]], f"after {moment}: {keys}"
    assert all(used for _, used, _ in keys), f"an orphan after {moment}: {keys}"
    assert box.collector.control("SELECT COUNT(*) FROM sensors WHERE sensor_id = ?", said["sensor"]) == [(1,)]
    assert len({folder.name for folder in Path(job.state).glob("pair-*")}) <= 1, moment
    return keys


def cut_everywhere(
    box: Box,
    next_job: Callable[[], Job],
    keys_after: int | None,
    meanwhile: Callable[[Job], Job] = lambda job: job,
) -> set[str]:
    """Cut a job at its first moment, its second, and so on to its end; the moments that there were. `meanwhile` is what
    happens while the power is off, and gives the job to go on with.
    """
    seen: set[str] = set()
    for number in range(1, TOO_MANY):
        job = next_job()
        done = box.run(replace(job, moment=number))
        passed = done.stdout.splitlines()
        seen |= set(passed)
        if done.returncode == 0:
            assert len(passed) < number
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert len(passed) == number
        keys = ends_well(box, meanwhile(job), f"moment {number}: {passed[-1]}")
        assert keys_after is None or len(keys) == keys_after, f"after {passed[-1]}: {keys}"
    else:
        raise AssertionError("it never came to its end")
    assert verify_store(box.collector.directory, None).whole
    return seen


def steps_of(resident: bool, *, first: bool) -> set[str]:
    """What must be among the moments, by the tables."""
    of_all = {str(step) for step in STEPS[resident]}
    return of_all if first else of_all | {str(stage) for stage in STAGES}


def signing(kind: str) -> set[str]:
    """What must be among them of a box with a secure element."""
    return {"element"} if kind == "element" else set()


def kinds(test: Callable[..., None]) -> Callable[..., None]:
    """With the key in a file, and with the key in a TPM."""
    marks = [pytest.mark.tpm, pytest.mark.tpm_tls]
    return pytest.mark.parametrize("kind", ["file", pytest.param("tpm", marks=marks)])(test)


def three_kinds(test: Callable[..., None]) -> Callable[..., None]:
    """And with a secure element that signs for it; such a box knows no recovery apart from its renewal."""
    marks = [pytest.mark.tpm, pytest.mark.tpm_tls]
    return pytest.mark.parametrize("kind", ["file", "element", pytest.param("tpm", marks=marks)])(test)


def box_of(kind: str, collector: Collector, tmp_path: Path, request: pytest.FixtureRequest) -> Box:
    tpm = request.getfixturevalue("tpm") if kind == "tpm" else None
    return Box(collector, tmp_path / "box", tpm, has_element=kind == "element")


@three_kinds
def test_first_enrollment_cut_anywhere_ends_with_one_certificate(
    kind: str, collector: Collector, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    box = box_of(kind, collector, tmp_path, request)
    seen = cut_everywhere(box, box.enrollment, keys_after=1)
    assert steps_of(kind == "tpm", first=True) | {"request", "answer", "fsync"} | signing(kind) <= seen


@three_kinds
def test_renewal_cut_anywhere_ends_with_one_certificate(
    kind: str, collector: Collector, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    box = box_of(kind, collector, tmp_path, request)
    job = box.enrolled()
    if kind == "element":
        # The others' first keys speak in order to renew; this one's does not.
        context = IdentityFolder(Path(job.state), job.keys()).load().context()
        ask(CollectorUrl.parse(job.url), context, "GET", CONFIG_PATH, timeout_s=30, proxy=None)
    seen = cut_everywhere(box, lambda: job, keys_after=None)
    assert steps_of(kind == "tpm", first=False) | {"request", "answer", "fsync"} | signing(kind) <= seen


@kinds
def test_recovery_cut_anywhere_ends_with_one_certificate(
    kind: str, collector: Collector, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    box = box_of(kind, collector, tmp_path, request)
    seen = cut_everywhere(box, lambda: box.enrolled(days_ago=40), keys_after=None)
    assert steps_of(kind == "tpm", first=False) | {"request", "answer", "fsync"} <= seen


def dies_after(box: Box, job: Job, number: int) -> bool:
    """The collector dies after that many transactions, before it answers; or the box comes to its end before that."""
    child = Child(box.collector.directory, f"transaction-{number}")
    done = box.run(replace(job, url=f"https://{child.address}"))
    if done.returncode == 0:
        assert child.end() == 0
        return False
    assert child.end() == -signal.SIGKILL
    return True


@kinds
@pytest.mark.parametrize("what", ["enrollment", "renewal", "recovery"])
def test_a_collector_that_dies_between_its_record_and_its_answer_leaves_one_certificate(
    what: str, kind: str, collector: Collector, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    box = box_of(kind, collector, tmp_path, request)
    make = {"enrollment": box.enrollment, "renewal": box.enrolled, "recovery": lambda: box.enrolled(days_ago=40)}
    for number in range(1, TOO_MANY):
        job = make[what]()
        collector.stop()
        if not dies_after(box, job, number):
            break
        child = Child(collector.directory)
        ends_well(box, replace(job, url=f"https://{child.address}"), f"transaction {number} of the collector")
        assert child.end() == 0
        collector.start()
    assert number > (2 if kind == "tpm" else 1)
    assert verify_store(collector.directory, None).whole
