"""The page as a person uses it: headless Chromium against the server process, on a store filled through the writer.

Every test also fails on a console message, a script error, a failed request or a violation of the content security
policy.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the Python package playwright")

from collector_client.analyst import vendor  # noqa: E402
from collector_client.create import create_collector  # noqa: E402
from collector_client.store import Control, Writer, heartbeats  # noqa: E402
from collector_client.store.clock import SystemClock  # noqa: E402
from tests.fakes.events import HOUR_NS, KINDS, Kind, enroll, event, fill, heartbeat  # noqa: E402

ROOT = Path(__file__).parents[2]
EVIL = '<img src=x onerror="window.owned=1"><script>window.owned=1</script>'
EVIL_KIND = Kind(
    6660001, EVIL, "trojan-activity", 1, app="http", facts=(("http.user_agent", EVIL),), data=EVIL.encode()
)
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (e) => violations.push(e.violatedDirective + " " + e.blockedURI));
"""

ABORTED = "net::ERR_ABORTED"
MADE_UP = "the network was taken away by the test"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not vendor.VENDOR.is_dir(), reason="the browser files are not set up: run make setup"),
]


class Store:
    """A filled store that can still grow."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.now_ns = time.time_ns()
        create_collector(directory, ["localhost"], "127.0.0.1:0", SystemClock())
        self.sensor = enroll(
            directory, "s-hq", tenant="Acme", label="hq-1", not_after_ns=self.now_ns + 20 * 24 * HOUR_NS
        )
        other = enroll(directory, "s-dc", tenant="Globex", site="dc", label="dc-1", assurance="tpm")
        self.writer = Writer.open(directory, SystemClock())
        fill(self.writer, self.sensor, self.now_ns, count=300, hours=20, seed=1)
        fill(self.writer, other, self.now_ns, count=60, hours=20, seed=2, kinds=KINDS[2:5])
        self.add(EVIL_KIND)
        control = Control.open(directory)
        with control.transaction() as connection:
            heartbeats.record(connection, "s-hq", self.now_ns, heartbeat(self.now_ns, self.sensor, waiting=4))
        control.close()

    def add(self, kind: Kind) -> None:
        """One more alert, as if it had just arrived."""
        now_ns = time.time_ns()
        self.writer.store_batch(self.sensor.batch([event(kind, now_ns)], now_ns))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = Store(tmp_path_factory.mktemp("store"))
    yield store
    store.writer.close()


@pytest.fixture(scope="module")
def address(store: Store) -> Iterator[str]:
    command = [sys.executable, "-m", "collector_client.page", str(store.directory), "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        found = re.fullmatch(r"ready (127\.0\.0\.1:\d+)\n", server.stdout.readline())
        assert found, "the server did not say its address"
        yield f"http://{found[1]}/"
        server.terminate()
        assert server.wait(timeout=20) == 0


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=flags)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: sync_api.Browser, address: str) -> Iterator[sync_api.Page]:
    context = browser.new_context(viewport={"width": 1366, "height": 850}, base_url=address)
    context.set_default_timeout(20_000)
    page = context.new_page()
    trouble: list[str] = []
    page.add_init_script(WATCH)
    page.on("console", lambda message: trouble.append(f"console {message.type}: {message.text}"))
    page.on("pageerror", lambda error: trouble.append(f"error: {error}"))
    # A request given up because the person went on (ERR_ABORTED) is no trouble.
    page.on(
        "requestfailed", lambda gone: trouble.append(f"{gone.failure} {gone.url}") if gone.failure != ABORTED else None
    )
    page.on(
        "response", lambda answer: trouble.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None
    )
    yield page
    violations = page.evaluate("window.violations")
    owned = page.evaluate("window.owned")
    context.close()
    assert [line for line in trouble if MADE_UP not in line] == []
    assert violations == []
    assert owned is None


def drawn(page: sync_api.Page) -> int:
    """How many alerts the time line says it drew, once its canvas has pixels that are not empty."""
    page.wait_for_selector("#timeline canvas")
    painted = "() => { const c = document.querySelector('#timeline canvas'); return c.getContext('2d')" \
        ".getImageData(0, 0, c.width, c.height).data.some((v) => v !== 0); }"  # fmt: skip
    page.wait_for_function(painted)
    return int(page.get_attribute("#timeline", "data-drawn") or "0")


def test_a_person_goes_from_the_list_to_a_signature_to_one_alert(page: sync_api.Page) -> None:
    page.goto("/")
    assert drawn(page) >= 361
    page.get_by_role("link", name=KINDS[0].msg).first.click()
    page.wait_for_url("**/group?**")
    assert page.get_by_role("heading", name=KINDS[0].msg).is_visible()
    assert drawn(page) > 0
    page.locator("table.rows tbody tr").first.click(position={"x": 600, "y": 10})
    page.wait_for_url("**/alerts/**")
    packet = page.locator(".packet")
    assert packet.get_by_text("|GET /index.php?i|").is_visible()
    assert packet.get_by_text("time to live").is_visible()
    assert page.get_by_text("software key").is_visible()
    assert page.get_by_text("sqlmap/1.7").first.is_visible()


def test_hostile_text_is_read_and_does_nothing(page: sync_api.Page) -> None:
    page.goto("/?q=onerror")
    page.get_by_role("link", name="onerror").click()
    page.wait_for_url("**/group?**")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/alerts/**")
    page.get_by_text("As text").click()
    assert page.locator("pre", has_text="<script>").first.is_visible()
    assert page.evaluate("document.querySelectorAll('img[src=x]').length") == 0


def test_filters_change_the_page_in_place_and_the_address_with_it(page: sync_api.Page) -> None:
    page.goto("/")
    drawn(page)
    page.evaluate("window.still = true")
    page.get_by_label("Tenant").select_option("Globex")
    page.wait_for_url("**/?*tenant=Globex*")
    page.wait_for_selector("#timeline[data-drawn='60']")
    page.get_by_label("Priority").select_option("2")
    page.wait_for_url("**/?*priority=2*")
    page.get_by_label("Search").fill("DNS query")
    page.wait_for_url("**/?*q=DNS*")
    page.wait_for_function("document.querySelectorAll('table.rows tbody tr').length === 1")
    assert "since=" not in page.url, "empty fields stay out of the address"
    assert page.evaluate("window.still") is True
    page.reload()
    assert page.locator("table.rows tbody tr").count() == 1
    page.go_back()
    page.wait_for_selector("text=PRI")
    page.get_by_role("link", name="Reset").click()
    page.wait_for_function("document.querySelectorAll('table.rows tbody tr').length > 5")


def test_dragging_on_the_time_line_chooses_its_range(page: sync_api.Page) -> None:
    page.goto("/?range=24h")
    whole = drawn(page)
    box = page.locator("#timeline .u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 40, steps=5)
    page.mouse.up()
    page.wait_for_url("**/?*since=*until=*")
    page.wait_for_function(f"Number(document.getElementById('timeline').dataset.drawn) < {whole}")
    assert page.locator("#range").input_value() == "custom"
    part = drawn(page)
    assert 0 < part < whole
    page.locator("#timeline .u-over").dblclick()
    page.wait_for_url("**/?range=all*")
    page.wait_for_function(f"Number(document.getElementById('timeline').dataset.drawn) >= {whole}")


def test_a_new_alert_appears_without_a_reload_and_keeps_the_focus(page: sync_api.Page, store: Store) -> None:
    page.goto("/?range=all&q=onerror")
    before = drawn(page)
    page.evaluate("window.still = true")
    page.keyboard.press("j")
    focused = page.evaluate("document.activeElement.textContent")
    store.add(EVIL_KIND)
    page.keyboard.press("r")
    page.wait_for_selector(f"#timeline[data-drawn='{before + 1}']")
    page.wait_for_selector(f".rows td.strong:text-is('{before + 1}')")
    assert page.evaluate("window.still") is True
    assert page.evaluate("document.activeElement.textContent") == focused == EVIL


def test_the_whole_way_can_be_gone_by_keyboard(page: sync_api.Page) -> None:
    page.goto("/")
    drawn(page)
    page.keyboard.press("?")
    assert page.get_by_role("dialog").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("SQL injection")
    page.wait_for_url("**/?*q=SQL*")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/group?**")
    page.wait_for_selector("tbody tr:nth-child(2)")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/alerts/**")
    first = page.url
    page.keyboard.press("]")
    page.wait_for_url(lambda url: url != first)  # loaded, too: before that nobody hears a key
    page.keyboard.press("[")
    page.wait_for_url(first)
    page.keyboard.press("u")
    page.wait_for_url("**/group?**")
    page.keyboard.press("s")
    page.wait_for_url("**/sensors")


def test_sensors_are_shown_with_their_state(page: sync_api.Page) -> None:
    page.goto("/sensors")
    row = page.locator("tbody tr", has_text="hq-1").first
    for shown in ("on time", "software key", "4 waiting", "none"):
        assert row.get_by_text(shown).first.is_visible(), shown
    assert page.locator("tbody tr", has_text="dc-1").get_by_text("tpm key").is_visible()
    row.get_by_role("link").click()
    page.wait_for_url("**/?sensor=s-hq**")
    assert drawn(page) > 0


def test_every_control_has_a_name_and_every_text_enough_contrast(browser: sync_api.Browser, address: str) -> None:
    for scheme in ("light", "dark"):
        context = browser.new_context(base_url=address, color_scheme=scheme)
        page = context.new_page()
        for path in ("/", "/sensors", "/group?gid=1&sid=1000001", "/?q=nothing-like-this"):
            page.goto(path)
            unnamed = page.evaluate(
                "() => [...document.querySelectorAll('input:not([type=hidden]), select, button, a')].filter((e) =>"
                " !(e.labels && e.labels.length) && !e.textContent.trim() && !e.ariaLabel).map((e) => e.outerHTML)"
            )
            assert unnamed == [], path
            assert page.evaluate(CONTRAST) == [], f"{scheme} {path}"
        context.close()


# WCAG 2.2, 1.4.3: 4.5 to 1 for text of this size. Backgrounds are found by walking up to the first opaque one.
CONTRAST = """() => {
  const channel = (v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const behind = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] === 1) return c; } return [255, 255, 255]; };
  const bad = new Set();
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.checkVisibility() || e.closest("option, dialog, .skip")) continue;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) bad.add(`${e.className || e.tagName} ${e.textContent.trim().slice(0, 20)} ${ratio.toFixed(2)}`);
  }
  return [...bad];
}"""


def test_a_lost_server_is_said_and_forgotten_when_it_is_back(page: sync_api.Page, store: Store) -> None:
    page.goto("/?range=all")
    drawn(page)
    page.evaluate(f"window.real = fetch; window.fetch = () => Promise.reject(new TypeError('{MADE_UP}')); null")
    page.keyboard.press("r")
    page.wait_for_selector("#offline:not([hidden])")
    page.evaluate("window.fetch = window.real; null")
    page.keyboard.press("r")
    page.wait_for_selector("#offline", state="hidden")
