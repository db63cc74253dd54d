"""`make firmware` and `make firmware-check`: the order of the steps, and what a release gets.

Rules of this file: the only place that knows all steps. A file goes to the target folder only when all boards' images
have been built and checked.
"""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from appliance.wire import mcu_words
from firmware import vfw
from firmware.uf2 import compile as compiling
from firmware.uf2 import debian, pypi, sources, sums, uf2
from firmware.uf2.boards import BOARDS, Board
from firmware.uf2.errors import ImageError
from firmware.uf2.stage import prepare
from firmware.uf2.steps import Tell, step
from tests.conformance.debian13 import RELEASE

TREE = Path(__file__).parents[2]
# Folders of two names, so that a path that gets into an image shows.
FIRST, SECOND = "build", "a-second-build"
# When the tree has no history: 1 January 2026.
FALLBACK_EPOCH = 1767225600


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be made of what."""

    cache: Path
    out: Path
    version: str
    epoch: int
    tree: Path = TREE


def tree_version() -> str:
    """The product's version."""
    with (TREE / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


def tree_epoch() -> int:
    """The time of the tree's last commit, in seconds since 1970."""
    asked = ["git", "-C", str(TREE), "log", "-1", "--format=%ct"]
    told = subprocess.run(asked, capture_output=True, text=True, check=False)
    return int(told.stdout) if told.returncode == 0 and told.stdout.strip().isdigit() else FALLBACK_EPOCH


def checked(file: Path, board: Board) -> uf2.Image:
    """The image in a file, which its board can take.

    Raises:
        ImageError: it is none, is another chip's, or reaches into the file system.
    """
    image = uf2.parse(file.read_bytes())
    if image.family != board.family:
        raise ImageError(f"{board.name}: family {image.family:#x} came; {board.family:#x} was allowed")
    if len(image.code) > board.code_bytes:
        raise ImageError(f"{board.name}: {len(image.code)} octets of code came; {board.code_bytes} were allowed")
    return image


def make(plan: Plan, inside: debian.Debian, name: str) -> dict[str, Path]:
    """One build of all boards, in a folder of its own; each file by the name that a release gives it.

    Raises:
        BuildError: by whose fault it is.
    """
    with step(inside.tell, f"{name}: the tree to build in"):
        senml = pypi.ensure(plan.cache, pypi.FROZEN)
        stage = prepare(inside, name, plan.cache / "sources", senml, plan.tree, plan.version)
    compiling.cross_compiler(stage, plan.epoch, plan.version)
    made = {}
    for board in BOARDS:
        made[board.file] = compiling.image(stage, board, plan.epoch, plan.version)
        image = checked(made[board.file], board)
        inside.tell(f"{board.name}: {len(image.code)} of {board.code_bytes} octets of flash for code")
        files = compiling.slot_files(stage, board, plan.epoch, plan.version)
        made[board.upgrade] = stage.folder / board.upgrade
        made[board.upgrade].write_bytes(vfw.pack(mcu_words.BOARDS.index(board.name), files))
    return made


def start(plan: Plan, tell: Tell) -> debian.Debian:
    """Everything that a build needs, brought here.

    Raises:
        BuildError: this machine cannot, or the archive has other sources.
    """
    inside = debian.ready(plan.cache / "debian-13", tell)
    for source in sources.SOURCES:
        with step(tell, f"source package {source.request}"):
            sources.fetch(plan.cache / "sources", debian.mirror(), RELEASE, source)
    return inside


def build(plan: Plan, tell: Tell) -> dict[str, str]:
    """Make all images in `plan.out`; returns the sum of each.

    Raises:
        BuildError: by whose fault it is.
    """
    inside = start(plan, tell)
    return release(plan, inside, make(plan, inside, FIRST))


def release(plan: Plan, inside: debian.Debian, made: Mapping[str, Path]) -> dict[str, str]:
    """Put the images of one build into the target folder, with their sums and the record; returns the sums."""
    shutil.rmtree(plan.out, ignore_errors=True)
    plan.out.mkdir(parents=True)
    for name, file in made.items():
        shutil.copyfile(file, plan.out / name)
    frozen = pypi.FROZEN.read_text(encoding="utf-8")
    record = sums.record_text(plan.version, plan.epoch, sources.SOURCES, frozen, inside.versions())
    (plan.out / sums.RECORD).write_text(record, encoding="utf-8")
    found = sums.sums_of(plan.out, made)
    (plan.out / sums.SUMS).write_text(sums.sums_text(found), encoding="ascii")
    return found


def check(plan: Plan, tell: Tell) -> list[str]:
    """Make all images twice, in two folders; the names of those that differ. What is the same goes to `plan.out`.

    Raises:
        BuildError: by whose fault it is.
    """
    inside = start(plan, tell)
    made = make(plan, inside, FIRST)
    again = make(plan, inside, SECOND)
    differ = sums.differing(*({name: sources.sha256_of(file) for name, file in b.items()} for b in (made, again)))
    if not differ:
        release(plan, inside, made)
    return differ
