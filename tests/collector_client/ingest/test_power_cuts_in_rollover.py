"""The power is cut at every moment of a renewal while the collector's root and issuing CA change; all ends well.

The hardest change: when the box comes back, the CAs that it knows are retired, and all that leads to the new ones is
the old root's word.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.clock import SystemClock
from appliance.enroll import standing
from appliance.enroll.renew import Stage, stage_of
from appliance.identity import IdentityFolder
from appliance.identity.certificates import parse_pem, spki_der
from appliance.identity.trust import anchors_of
from appliance.wire.enrollment import ca_pin
from collector_client.cli import main
from collector_client.pki import PKI_NAME, load_chains
from collector_client.pki.profile import pin_of
from tests.collector_client.boxes import Box
from tests.collector_client.harness import Collector
from tests.collector_client.ingest.test_box_renews import many
from tests.collector_client.ingest.test_power_cuts import cut_everywhere, steps_of
from tests.fakes.dying_box import Job

pytestmark = pytest.mark.timeout(600)


class Authorities:
    """A collector's authorities before and after a roll-over, put in place by turns."""

    def __init__(self, collector: Collector, folder: Path) -> None:
        self._collector = collector
        self._pki, self._before, self._after = collector.directory / PKI_NAME, folder / "before", folder / "after"
        shutil.copytree(self._pki, self._before)
        root_dir, new_dir = folder / "root", folder / "new root"
        root_dir.mkdir(mode=0o700)
        request, made = folder / "issuing.csr", folder / "issuing.pem"
        for words in (
            ("export-root", collector.directory, root_dir),
            ("new-root", "--root-dir", root_dir, "--new-dir", new_dir),
            ("install", collector.directory, new_dir / "root.pem"),
            ("request", collector.directory, "--out", request),
            ("sign", request, "--root-dir", new_dir, "--out", made),
            ("install", collector.directory, made),
            ("retire", collector.directory, "issuing", "--force"),
            ("retire", collector.directory, "root", "--force"),
        ):
            assert main(["ca", *map(str, words)]) == 0, words
        shutil.copytree(self._pki, self._after)

    def before(self) -> None:
        """The first ones."""
        self._put(self._before)

    def after(self) -> None:
        """The new root and the CA below it; the first ones are retired."""
        self._put(self._after)

    def roots_after(self) -> set[str]:
        """The pin that a box is to trust in the end."""
        return {pin_of(load_chains(self._after).root)}

    def _put(self, folder: Path) -> None:
        self._collector.stop()
        shutil.rmtree(self._pki)
        shutil.copytree(folder, self._pki)
        self._collector.start()


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    made = Collector(tmp_path / "collector", many)
    yield made
    made.stop()


@pytest.fixture
def authorities(collector: Collector, tmp_path: Path) -> Authorities:
    return Authorities(collector, tmp_path)


@pytest.fixture
def box(collector: Collector, authorities: Authorities, tmp_path: Path) -> Box:
    return Box(collector, tmp_path / "box")


def moved(job: Job, collector: Collector) -> Job:
    """The same job at the address that the collector has now."""
    return replace(job, url=f"https://{collector.address}")


def roots(folder: IdentityFolder) -> set[str]:
    """The pins of the roots that a box trusts."""
    return {ca_pin(spki_der(root)) for root in anchors_of(parse_pem("ca.pem", folder.ca_path.read_bytes()))}


def check_trust(states: list[Path], pin: str, new_roots: set[str]) -> None:
    """See that the boxes trust the new root alone, and are enrolled by their first pin still."""
    for state in states:
        folder = IdentityFolder(state)
        assert roots(folder) == new_roots, state
        assert standing(folder, pin, SystemClock()) is not None, state


def test_a_renewal_that_meets_new_authorities_cut_anywhere_ends_with_one_certificate_and_the_new_root(
    collector: Collector, authorities: Authorities, box: Box
) -> None:
    states: list[Path] = []
    between: list[Path] = []

    def next_job() -> Job:
        authorities.before()
        job = box.enrolled()
        authorities.after()
        states.append(Path(job.state))
        return moved(job, collector)

    def came_back(job: Job) -> Job:
        folder = IdentityFolder(Path(job.state))
        assert standing(folder, job.pin, SystemClock()) is not None, "it is enrolled all the time"
        if roots(folder) != {job.pin} and stage_of(folder) is Stage.KEY_MADE:
            between.append(Path(job.state))
        return job

    seen = cut_everywhere(box, next_job, keys_after=None, meanwhile=came_back)
    assert steps_of(False, first=False) <= seen
    assert between, "no cut between the new root and the new certificate"
    check_trust(states, collector.pin, authorities.roots_after())


def test_authorities_that_change_while_a_box_is_off_in_the_middle_of_its_renewal_are_found_when_it_comes_back(
    collector: Collector, authorities: Authorities, box: Box
) -> None:
    """Its next certificate may be issued, and even in force, and is of a retired CA all the same."""
    states: list[Path] = []

    def next_job() -> Job:
        authorities.before()
        return box.enrolled()

    def came_back(job: Job) -> Job:
        authorities.after()
        states.append(Path(job.state))
        return moved(job, collector)

    seen = cut_everywhere(box, next_job, keys_after=None, meanwhile=came_back)
    assert steps_of(False, first=False) <= seen
    check_trust(states, collector.pin, authorities.roots_after())
