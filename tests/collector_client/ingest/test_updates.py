"""A box fetches what its collector offers, over real TLS, from any point on; nobody gets what is not offered to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.clock import SystemClock
from appliance.enroll.client import EnrollmentPlan, enroll
from appliance.identity import CollectorUrl, IdentityFolder
from appliance.update import Bundle, BundleRefusedError, Memory, Order, Record, State
from appliance.update.fetched import Fetched, read_fetched
from appliance.update.source import CollectorSource
from appliance.update.updater import FetchStatus, Updater
from appliance.wire.codes import SessionCode
from appliance.wire.heartbeat import SystemHealth, UpdateOutcome
from appliance.wire.session import SessionError
from appliance.wire.update import MAX_PIECE_BYTES, Offer, dump_offer, load_offer, parse_range_header
from collector_client.cli.main import main as collector_main
from collector_client.store import Control, audit
from tests.collector_client.harness import Collector
from tests.fakes.box_disk import BoxDisk, Maker
from tests.fakes.sensor import FakeSensor

CLOCK = SystemClock()
MAKER = Maker()


class TickingClock:
    """The machine's clock, and as late as a test wants."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def wall_ns(self) -> int:
        return CLOCK.wall_ns()

    def monotonic_s(self) -> float:
        return CLOCK.monotonic_s() + self.ahead_s


class Fetcher:
    """A box's identity and its updater, as the daemon builds them."""

    def __init__(self, collector: Collector, folder: Path) -> None:
        self.folder = folder / "update"
        identity = IdentityFolder(folder / "identity")
        url = f"https://{collector.address}"
        plan = EnrollmentPlan.parse(urls=[url], ca_pin=collector.pin, token=collector.token())
        self.sensor_id = enroll(plan, identity, CLOCK).certificate.sensor_id
        self.clock = TickingClock()
        self.pieces = 0
        self.source = CollectorSource([CollectorUrl.parse(url)], identity.load, clock=self.clock)
        fetch = self.source.piece

        def counted(offer: Offer, first: int) -> bytes:
            self.pieces += 1
            return fetch(offer, first)

        self.source.piece = counted  # type: ignore[method-assign]
        (folder / "memory").mkdir()
        self.memory = Memory(folder / "memory")
        self.states: list[FetchStatus] = []
        self.updater = self.start()

    def start(self) -> Updater:
        """As after a restart of the daemon."""
        self.updater = Updater(
            self.source,
            self.memory,
            self.folder,
            self.clock,
            running="1",
            check_s=60,
            chance=lambda: 0.5,
            on_state=self.states.append,
        )
        return self.updater

    def until(self, found: Callable[[], bool], at_most: int = 200) -> None:
        for _ in range(at_most):
            if found():
                return
            self.clock.ahead_s += self.updater.step()
        raise AssertionError(self.updater.status())

    def until_handed_over(self) -> Fetched:
        self.until(lambda: Fetched.ticket(self.folder).exists())
        return read_fetched(self.folder)


@pytest.fixture
def fetcher(collector: Collector, tmp_path: Path) -> Iterator[Fetcher]:
    (tmp_path / "box").mkdir()
    made = Fetcher(collector, tmp_path / "box")
    yield made
    made.source.close()


def large(path: Path, version: str) -> Path:
    """A bundle of several pieces."""
    return MAKER.bundle(path, version, padding=3 * MAX_PIECE_BYTES)


def offer(collector: Collector, path: Path, *options: str, capsys: pytest.CaptureFixture[str]) -> int:
    assert collector_main(["update", "offer", str(collector.directory), str(path), *options, "--json"]) == 0
    return int(json.loads(capsys.readouterr().out)["update_id"])


def test_an_offered_bundle_arrives_whole_and_is_handed_over(
    collector: Collector, fetcher: Fetcher, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = large(tmp_path / "b", "2")
    update_id = offer(collector, path, "--all", capsys=capsys)
    assert fetcher.until_handed_over() == Fetched(update_id, False)
    assert Fetched.bundle(fetcher.folder).read_bytes() == path.read_bytes()
    assert [s.state for s in fetcher.states] == [State.FETCHING, State.VERIFIED]
    with Bundle.open(Fetched.bundle(fetcher.folder), MAKER.keys()) as bundle:
        bundle.check()


def test_a_fetch_that_was_cut_off_goes_on_where_it_was(
    collector: Collector, fetcher: Fetcher, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = large(tmp_path / "b", "2")
    offer(collector, path, "--all", capsys=capsys)
    fetcher.until(lambda: fetcher.pieces == 2)
    fetcher.source.abort()
    fetcher.start()
    fetcher.until_handed_over()
    assert Fetched.bundle(fetcher.folder).read_bytes() == path.read_bytes()
    assert fetcher.pieces == -(-path.stat().st_size // MAX_PIECE_BYTES)


def test_a_collector_that_is_away_for_a_while_costs_no_byte_twice(
    collector: Collector, fetcher: Fetcher, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = large(tmp_path / "b", "2")
    offer(collector, path, "--all", capsys=capsys)
    fetcher.until(lambda: fetcher.pieces == 1)
    address = collector.address
    fetcher.source.close()
    collector.stop()
    fetcher.updater.step()
    assert fetcher.updater.status().reason
    collector.start()
    moved = CollectorUrl.parse(f"https://{collector.address}")
    assert address
    fetcher.source._urls = (moved,)
    fetcher.until_handed_over()
    assert Fetched.bundle(fetcher.folder).read_bytes() == path.read_bytes()


def test_a_part_that_rotted_on_the_box_is_fetched_anew(
    collector: Collector, fetcher: Fetcher, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = large(tmp_path / "b", "2")
    offer(collector, path, "--all", capsys=capsys)
    fetcher.until(lambda: fetcher.pieces == 2)
    (part,) = fetcher.folder.glob("*.part")
    data = bytearray(part.read_bytes())
    data[1000] ^= 1
    part.write_bytes(data)
    fetcher.until_handed_over()
    assert Fetched.bundle(fetcher.folder).read_bytes() == path.read_bytes()
    assert "SHA-256" in "".join(s.reason for s in fetcher.states)


def test_nothing_is_fetched_that_is_old_running_or_over(
    collector: Collector, fetcher: Fetcher, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    offer(collector, MAKER.bundle(tmp_path / "b", "0.9", floor="0.1"), "--all", capsys=capsys)
    fetcher.until(lambda: fetcher.updater._ask_at_s > fetcher.clock.monotonic_s())
    update_id = offer(collector, MAKER.bundle(tmp_path / "c", "2"), "--all", capsys=capsys)
    over = Record().with_outcome("fell-back", "2", "broken", 1, update_id)
    fetcher.memory.write(over)
    for _ in range(4):
        fetcher.clock.ahead_s += 100
        fetcher.updater.step()
    assert (fetcher.pieces, fetcher.updater.status().state) == (0, State.IDLE)
    # The same bundle, offered anew, is another offer.
    again = offer(collector, tmp_path / "c", "--all", capsys=capsys)
    assert fetcher.until_handed_over().update_id == again


def test_an_older_version_is_fetched_only_when_the_operator_says_so(
    collector: Collector, fetcher: Fetcher, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    offer(collector, MAKER.bundle(tmp_path / "b", "0.9", floor="0.1"), "--all", "--older", capsys=capsys)
    assert fetcher.until_handed_over().older


def test_a_withdrawn_offer_is_let_go(
    collector: Collector, fetcher: Fetcher, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    update_id = offer(collector, large(tmp_path / "b", "2"), "--all", capsys=capsys)
    fetcher.until(lambda: fetcher.pieces == 1)
    assert collector_main(["update", "withdraw", str(collector.directory), str(update_id)]) == 0
    fetcher.until(lambda: not list(fetcher.folder.glob("*.part")))
    assert not list((collector.directory / "updates").iterdir())
    assert fetcher.updater.status().state is State.IDLE


@pytest.mark.parametrize(
    ("options", "gets"),
    [
        (["--tenant", "acme"], True),
        (["--tenant", "acme", "--site", "north"], True),
        (["--tenant", "acme", "--site", "south"], False),
        (["--tenant", "umbrella"], False),
    ],
)
def test_an_offer_is_for_its_tenant_and_site(
    collector: Collector, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], gets: bool
) -> None:
    collector.sensor(tenant="umbrella", site="hive")
    collector.sensor(tenant="acme", site="south")
    box = collector.sensor(tenant="acme", site="north")
    update_id = offer(collector, MAKER.bundle(tmp_path / "b", "2"), *options, capsys=capsys)
    found = load_offer(box.request("GET", "/v1/update").body)
    assert (found is not None and found.update_id == update_id) is gets


def test_an_offer_for_one_sensor_is_for_no_other(
    collector: Collector, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = collector.sensor(), collector.sensor()
    update_id = offer(collector, MAKER.bundle(tmp_path / "b", "2"), "--sensor", one.sensor_id, capsys=capsys)
    assert load_offer(one.request("GET", "/v1/update").body) is not None
    assert load_offer(other.request("GET", "/v1/update").body) is None
    refused = ask_piece(other, update_id, "bytes=0-9")
    assert (refused.status, refused.code) == (404, SessionCode.UPDATE_NOT_OFFERED.name)


def ask_piece(box: FakeSensor, update_id: int, wanted: str):  # type: ignore[no-untyped-def]
    return box.request("GET", "/v1/update/bundle", headers={"Vedette-Update": str(update_id), "Range": wanted})


def test_a_revoked_or_unknown_box_gets_nothing(
    collector: Collector, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    box = collector.sensor()
    update_id = offer(collector, MAKER.bundle(tmp_path / "b", "2"), "--all", capsys=capsys)
    assert ask_piece(box, update_id, "bytes=0-9").body == b"VEDUPD01" + (tmp_path / "b").read_bytes()[8:10]
    stranger = collector.box()
    stranger.learn_ca()
    assert ask_piece(stranger, update_id, "bytes=0-9").status == 401
    collector.revoke(box.sensor_id)
    assert ask_piece(box, update_id, "bytes=0-9").status == 403


@pytest.mark.parametrize("wanted", ["", "bytes=0-", "bytes=-5", "bytes=5-4", "bytes=0-1048576", "bytes=0-1,3-4", "x"])
def test_a_range_of_another_form_is_refused(
    collector: Collector, tmp_path: Path, capsys: pytest.CaptureFixture[str], wanted: str
) -> None:
    update_id = offer(collector, MAKER.bundle(tmp_path / "b", "2"), "--all", capsys=capsys)
    assert ask_piece(collector.sensor(), update_id, wanted).status == 400


def test_a_range_behind_the_end_is_refused_and_one_over_it_is_cut(
    collector: Collector, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = MAKER.bundle(tmp_path / "b", "2")
    size = path.stat().st_size
    update_id = offer(collector, path, "--all", capsys=capsys)
    box = collector.sensor()
    assert ask_piece(box, update_id, f"bytes={size}-{size + 9}").status == 404
    last = ask_piece(box, update_id, f"bytes={size - 3}-{size + 9}")
    assert (last.status, last.body) == (206, path.read_bytes()[-3:])


def test_what_is_no_whole_bundle_is_not_offered(
    collector: Collector, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = MAKER.bundle(tmp_path / "b", "2").read_bytes()
    for data in (b"", whole[:100], whole[:-1], whole + b"x", b"x" + whole[1:]):
        (tmp_path / "c").write_bytes(data)
        assert collector_main(["update", "offer", str(collector.directory), str(tmp_path / "c"), "--all"]) == 2
    assert load_offer(collector.sensor().request("GET", "/v1/update").body) is None
    assert not list((collector.directory / "updates").iterdir())


def test_an_outcome_is_kept_once_and_is_in_the_audit(collector: Collector, capsys: pytest.CaptureFixture[str]) -> None:
    box = collector.sensor()
    outcome = UpdateOutcome(3, 1_700_000_000_000_000_000, "fell-back", "2", "not healthy: no engine", 7)
    body = json.loads(HEARTBEAT)
    system = SystemHealth("1", "fell back", "2", "1", (outcome,))
    body["system"] = {
        "version": system.version, "state": system.state, "update_version": "2", "security_floor": "1",
        "outcomes": [{"number": 3, "at_ns": outcome.at_ns, "kind": "fell-back", "version": "2",
                      "reason": outcome.reason, "update_id": 7}],
    }  # fmt: skip
    for _ in range(3):
        assert box.heartbeat(body).status == 200
    assert collector_main(["update", "outcomes", str(collector.directory), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["sensor_id"], row["kind"], row["reason"], row["update_id"]) == (
        box.sensor_id, "fell-back", "not healthy: no engine", 7,
    )  # fmt: skip
    rows = collector.control("SELECT action, detail FROM audit WHERE actor = 'sensor'")
    assert rows == [("fell-back", "version 2: not healthy: no engine")]
    control = Control.open(collector.directory)
    with control.reading() as connection:
        assert audit.verify(connection) is None
    control.close()


HEARTBEAT = json.dumps(
    {
        "schema": 1, "sent_ts_ns": 1, "started_ts_ns": 1, "version": "0.1.0", "engine_version": "", "capture": {},
        "host": {"cpu_percent": 1, "load_1m": 1, "memory_percent": 1, "disk_percent": 1, "disk_free_bytes": 1},
        "spool": {"epoch": 1, "next_seq": 1, "events": 0, "bytes": 0, "lost_events": 0},
        "rules": {"digest": "", "loaded": 0, "refused": 0}, "findings": [],
    }
)  # fmt: skip


def test_a_strangers_bundle_that_the_collector_offers_is_refused_by_the_box_and_told(
    collector: Collector, fetcher: Fetcher, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A collector that was broken into can offer what it likes."""
    update_id = offer(collector, Maker().bundle(tmp_path / "b", "2"), "--all", capsys=capsys)
    fetched = fetcher.until_handed_over()
    (tmp_path / "disk").mkdir()
    box = BoxDisk(tmp_path / "disk", MAKER)
    with pytest.raises(BundleRefusedError, match="none of this box's keys"):
        box.install(fetched.bundle(fetcher.folder), Order(fetched.update_id))
    (outcome,) = box.memory.read().outcomes
    assert (outcome.kind, outcome.update_id) == ("refused", update_id)


@given(st.binary(max_size=300) | st.text(max_size=100).map(str.encode))
def test_any_bytes_are_an_offer_or_one_error(data: bytes) -> None:
    with pytest.raises(SessionError):
        load_offer(data)


@given(st.text(max_size=40))
def test_any_text_is_a_range_or_one_error(text: str) -> None:
    try:
        first, size = parse_range_header(text)
    except SessionError:
        return
    assert first >= 0
    assert 1 <= size <= MAX_PIECE_BYTES


def test_an_offer_is_read_as_it_was_written() -> None:
    made = Offer(3, "1.2.3", 400, "a" * 64, older=True)
    assert load_offer(dump_offer(made)) == made
    assert load_offer(dump_offer(None)) is None
