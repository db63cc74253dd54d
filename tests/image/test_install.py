"""The installer as a whole, with the programs that it calls played: nothing is written in vain, and nothing twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.image.test_box import STICK, USB, disk, install


class Programs:
    """What the installer ran; `failing` names a program that always fails."""

    def __init__(self, failing: str = "") -> None:
        self.ran: list[str] = []
        self.failing = failing

    def __call__(self, *argv: str, check: bool = True) -> str:
        self.ran.append(argv[0])
        if argv[0] == self.failing and check:
            raise install.RefusalError(f"{argv[0]}: no space left on device")
        return json.dumps({"blockdevices": [USB, disk("/dev/nvme0n1")]}) if argv[0] == "lsblk" else ""


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(install, "boot_partition", lambda: STICK)
    monkeypatch.setattr(install, "settings_mode", lambda: ("unattended", False))
    monkeypatch.setattr(install, "ESP", tmp_path / "esp")
    monkeypatch.setattr(install, "TPM", tmp_path)
    monkeypatch.setattr(install, "EFIVARS", tmp_path)
    (tmp_path / "esp/installed/EFI/systemd").mkdir(parents=True)
    (tmp_path / "esp/installed/EFI/systemd/systemd-bootx64.efi").touch()
    return tmp_path


@pytest.mark.parametrize("mode", ["unattended", "ask", "live"])
def test_a_box_that_could_never_keep_anything_loses_nothing(
    box: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    programs = Programs()
    monkeypatch.setattr(install, "run", programs)
    monkeypatch.setattr(install, "TPM", box / "absent")
    monkeypatch.setattr(install, "settings_mode", lambda: (mode, False))
    with pytest.raises(install.RefusalError, match="no TPM"):
        install.install()
    assert "systemd-repart" not in programs.ran


def test_firmware_that_takes_no_entry_does_not_have_the_disk_written_again(
    box: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    programs = Programs("efibootmgr")
    monkeypatch.setattr(install, "run", programs)
    assert install.main() == 0
    assert programs.ran.count("systemd-repart") == 1
    assert programs.ran[-1] == "systemctl"
    assert "the firmware takes no entry" in capsys.readouterr().out


def test_what_nobody_thought_of_is_told_and_tried_again(
    box: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    turns = iter([KeyError("blockdevices"), None])

    def once() -> None:
        if (error := next(turns)) is not None:
            raise error

    monkeypatch.setattr(install, "run", Programs())
    monkeypatch.setattr(install, "install", once)
    monkeypatch.setattr(install, "AGAIN_S", 0)
    assert install.main() == 0
    assert "REFUSED: KeyError('blockdevices')" in capsys.readouterr().out
