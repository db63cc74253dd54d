"""A box with version 2 written and waiting, and the starts that follow: what its units do, without the units."""

from __future__ import annotations

from pathlib import Path

from appliance.update.boot import begin_boot, boot_is_bad, boot_is_good, end_boot
from appliance.update.judge import Seen
from appliance.update.record import Record
from tests.fakes.box_disk import BoxDisk, Maker

MAKER = Maker()


class Story:
    """A box with version 2 written and waiting, and the starts that follow."""

    def __init__(self, folder: Path) -> None:
        self.box = BoxDisk(folder / "box", MAKER)
        self.boots = 0
        self.power_on()
        self.good()
        self.box.install(MAKER.bundle(folder / "bundle", "2"))
        self.shut_down()

    def seen(self, **more: object) -> Seen:
        facts = {"now_ns": self.boots, "boot_id": f"boot{self.boots}", "version": self.box.running}
        return Seen(entries=self.box.box().esp.entries(), **facts, **more)  # type: ignore[arg-type]

    def power_on(self, *, as_far_as_var: bool = True, **more: object) -> str:
        """The box starts; returns the version."""
        self.boots += 1
        version = self.box.start()
        if as_far_as_var:
            begin_boot(self.box.box(), self.seen(**more))
        return version

    def good(self) -> None:
        boot_is_good(self.box.box(), self.seen())

    def bad(self, words: str = "vedette.service is failed") -> bool:
        return boot_is_bad(self.box.box(), self.seen(), words)

    def shut_down(self) -> None:
        end_boot(self.box.box(), self.seen())

    @property
    def record(self) -> Record:
        return self.box.memory.read()

    def tries(self, version: str) -> int | None:
        return self.box.tries(version)
