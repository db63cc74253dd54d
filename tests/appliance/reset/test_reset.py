"""A factory reset removes all that made the box a sensor, or nothing; broken off anywhere it is carried on."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.cli.main import main
from appliance.errors import EnvironmentFault, OperatorError
from appliance.identity import KeyFileError, SoftKeyStore
from appliance.reset import Done, NotConfirmedError, Order, UndeliveredError, finish, reset
from appliance.reset.marker import MARKER_NAME
from appliance.reset.reset import OURS
from appliance.spool import SpoolLockedError
from tests.appliance.uplink.box import Box, render
from tests.fakes.pki import Authority

YES = Order(None)


class PowerCutError(BaseException):
    """Ends the process here."""


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def enrolled(folder: Path, authority: Authority, events: int = 0) -> str:
    """A state folder of a sensor that is at rest; gives its id."""
    folder.mkdir(parents=True, exist_ok=True)
    box = Box(folder, authority)
    for _ in range(events):
        box.spool.append([(1, render)])
    box.spool.close()
    (folder / "rules-cache").mkdir()
    (folder / "rules-cache" / "x.db").write_bytes(b"x")
    (folder / "setup.toml").write_text('token = "t-secret"')
    (folder / "setup.toml.new").write_text('token = "t-sec')
    (folder / "clock").write_text("1830000000")
    return box.identity().certificate.sensor_id


def test_what_is_left_is_a_box_without_identity_events_or_token(tmp_path: Path, authority: Authority) -> None:
    sensor = enrolled(tmp_path / "state", authority)
    token = tmp_path / "token"
    token.write_text("t-abc.secret")
    done = reset(tmp_path / "state", SoftKeyStore(), Order(sensor), token_file=token)
    assert done == Done(sensor, 0, tpm_cleared=False, left=())
    assert list((tmp_path / "state").iterdir()) == []
    assert not token.exists()


@pytest.mark.parametrize("said", ["", "s-aaaaaaaaaaaaaaaaaaaa"])
def test_another_sensors_id_resets_nothing(tmp_path: Path, authority: Authority, said: str) -> None:
    sensor = enrolled(tmp_path, authority)
    with pytest.raises(NotConfirmedError, match=sensor):
        reset(tmp_path, SoftKeyStore(), Order(said))
    assert (tmp_path / "identity" / "key.pem").exists()
    assert not (tmp_path / MARKER_NAME).exists()


def test_events_that_wait_stop_it_unless_they_are_given_up(tmp_path: Path, authority: Authority) -> None:
    enrolled(tmp_path, authority, events=3)
    with pytest.raises(UndeliveredError, match="3 events"):
        reset(tmp_path, SoftKeyStore(), YES)
    assert (tmp_path / "identity" / "cert.pem").exists()
    assert reset(tmp_path, SoftKeyStore(), Order(None, lose_events=True)).events_lost == 3


def test_a_running_daemon_stops_it(tmp_path: Path, authority: Authority) -> None:
    box = Box(tmp_path, authority)
    with pytest.raises(SpoolLockedError, match="has the spool open"):
        reset(tmp_path, SoftKeyStore(), YES)
    assert (tmp_path / "identity" / "cert.pem").exists()
    box.spool.close()


def test_what_is_not_ours_stays_and_is_named(tmp_path: Path, authority: Authority) -> None:
    enrolled(tmp_path / "state", authority)
    (tmp_path / "state" / "notes").mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("x")
    shutil.rmtree(tmp_path / "state" / "rules-cache")
    (tmp_path / "state" / "rules-cache").symlink_to(elsewhere)
    assert reset(tmp_path / "state", SoftKeyStore(), YES).left == ("notes",)
    assert (elsewhere / "precious").exists()


def test_a_token_file_that_is_a_folder_is_left_alone(tmp_path: Path, authority: Authority) -> None:
    enrolled(tmp_path / "state", authority)
    (tmp_path / "etc").mkdir()
    done = reset(tmp_path / "state", SoftKeyStore(), YES, token_file=tmp_path / "etc")
    assert done.left == (str(tmp_path / "etc"),)


def cut_at(number: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Let the power go before the n-th change of a name on disk; tells how many there were."""
    count = 0

    def counted(real: Callable[..., None]) -> Callable[..., None]:
        def change(*args: object, **more: object) -> None:
            nonlocal count
            count += 1
            if count == number:
                raise PowerCutError
            real(*args, **more)

        return change

    for name in ("unlink", "rmdir", "rename"):
        monkeypatch.setattr(os, name, counted(getattr(os, name)))
    return lambda: count


def test_a_power_cut_before_any_change_leaves_a_sensor_or_is_carried_on(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, cuts = 0, 0
    while True:
        number += 1
        state = tmp_path / str(number)
        sensor = enrolled(state, authority, events=1)
        with monkeypatch.context() as patched:
            count = cut_at(number, patched)
            try:
                reset(state, SoftKeyStore(), Order(sensor, lose_events=True))
            except PowerCutError:
                cuts += 1
            changes = count()
        if changes < number:
            break
        if (state / MARKER_NAME).exists():
            done = finish(state, SoftKeyStore())
            assert done is not None
            assert (done.sensor_id, done.events_lost) == (sensor, 1)
        else:
            # The cut came before the marker: everything is as it was, and the reset can be ordered again.
            assert {"identity", "spool", "rules-cache", "setup.toml"} <= {path.name for path in state.iterdir()}
            reset(state, SoftKeyStore(), Order(sensor, lose_events=True))
        assert [path.name for path in state.iterdir() if path.name in OURS] == []
        assert finish(state, SoftKeyStore()) is None
    assert cuts > 10


def test_a_rotten_marker_still_means_that_all_must_go(tmp_path: Path, authority: Authority) -> None:
    enrolled(tmp_path, authority)
    (tmp_path / MARKER_NAME).write_bytes(b"\x00" * 40)
    done = finish(tmp_path, SoftKeyStore())
    assert done is not None
    assert done.events_lost is None
    assert list(tmp_path.iterdir()) == []


def test_a_key_in_a_file_has_no_device_to_clear_and_nothing_is_removed(tmp_path: Path, authority: Authority) -> None:
    enrolled(tmp_path, authority)
    with pytest.raises(KeyFileError, match="software key"):
        reset(tmp_path, SoftKeyStore(), Order(None, clear_tpm=True))
    assert (tmp_path / "identity" / "cert.pem").exists()
    assert not (tmp_path / MARKER_NAME).exists()


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="no such folder"):
        reset(tmp_path / "none", SoftKeyStore(), YES)


def test_a_disk_that_refuses_leaves_the_marker(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrolled(tmp_path, authority)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", refuse)
        with pytest.raises(EnvironmentFault, match="Input/output error"):
            reset(tmp_path, SoftKeyStore(), YES)
    assert finish(tmp_path, SoftKeyStore()) is not None


def configured(tmp_path: Path) -> str:
    path = tmp_path / "vedette.toml"
    path.write_text(
        f'[sensor]\nstate_dir = {json.dumps(str(tmp_path / "state"))}\n[identity]\nkey_store = "software"\n'
        f'[collector]\nurls = ["https://127.0.0.1:1"]\nca_pin = "{"0" * 64}"\n'
    )
    return str(path)


def test_the_command_wants_a_yes_and_prints_what_was_lost(
    tmp_path: Path, authority: Authority, capsys: pytest.CaptureFixture[str]
) -> None:
    sensor = enrolled(tmp_path / "state", authority, events=2)
    config = configured(tmp_path)
    assert main(["reset", "--config", config]) == 2
    assert main(["reset", "--config", config, "--sensor", sensor]) == 2
    assert "2 events came" in capsys.readouterr().err
    assert main(["reset", "--config", config, "--sensor", sensor, "--lose-events", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"sensor_id": sensor, "events_lost": 2, "tpm_cleared": False, "left": []}


def test_a_box_that_starts_carries_on_with_its_reset_first(
    tmp_path: Path, authority: Authority, capsys: pytest.CaptureFixture[str]
) -> None:
    enrolled(tmp_path / "state", authority)
    config = configured(tmp_path)

    def cut(step: str) -> None:
        if step.endswith("rules-cache"):
            raise PowerCutError

    with pytest.raises(PowerCutError):
        reset(tmp_path / "state", SoftKeyStore(), YES, on_step=cut)
    assert main(["run", "--config", config]) == 2
    said = capsys.readouterr().err
    assert "a reset was carried on" in said
    assert not (tmp_path / "state" / "setup.toml").exists()
