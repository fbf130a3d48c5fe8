"""Pictures for docs/images/ of real runs of the demo's street: a whole day in virtual time for the report and the
terminal, an evening over HTTP for the live page. Needs Chromium.

`make screenshots` makes all, `make screenshots ARGS=report` those whose names begin like this.
"""

from __future__ import annotations

import logging
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from rich.console import Console, ConsoleDimensions
from rich.terminal_theme import TerminalTheme

from tests.browser.made import town
from tests.browser.support import ARGUMENTS, chromium
from tests.world.tokens import TOKEN as MADE_TOKEN
from wattmesh_agents.store.database import Database
from wattmesh_cli.commands.demo import demo_manifest
from wattmesh_cli.commands.report import ReportOutput, report
from wattmesh_cli.state import TOKEN
from wattmesh_cli.street.live import Recent, picture
from wattmesh_cli.street.memory import run_in_memory, simulate
from wattmesh_cli.street.run import StreetRun
from wattmesh_cli.street_record import remember
from wattmesh_common.reading_token import read_token
from wattmesh_operator.manifests import load
from wattmesh_operator.plan import plan

IMAGES = Path(__file__).parents[1] / "docs" / "images"
DAY = timedelta(hours=24)
EVENING = timedelta(hours=12, minutes=27)
"""After the start: when the terminal is looked at."""
DESKTOP = {"width": 1200, "height": 900}
PHONE = {"width": 390, "height": 844}
LIVE_SPEED = 120
PATIENCE_MS = 120_000
_THEME = TerminalTheme(
    (18, 22, 29),
    (232, 235, 241),
    [(90, 100, 115), (255, 120, 130), (92, 214, 150), (240, 190, 80), (110, 170, 250), (220, 140, 220), (90, 205, 225),
     (232, 235, 241)],
)  # fmt: skip


def run_street(state: Path) -> str:
    """Run the demo's street for a day; its books are in `state` then. Gives the terminal's view of it as SVG."""
    [street] = plan(load([str(demo_manifest())]))
    start = street.resource.spec.clock.start
    recent = Recent()
    console = Console(record=True, width=132, file=sys.stderr, quiet=True)
    state.mkdir(parents=True)
    remember(state, street, int(start.timestamp()))
    (state / "agents").mkdir()

    async def look(running: StreetRun) -> None:
        pod = next(iter(running.pods.values()))
        await pod.grid.sleep_until((start + EVENING).timestamp())
        console.quiet = False
        with tempfile.TemporaryFile("w") as unseen:
            console.file = unseen
            console.print(picture(running, list(recent.lines), ConsoleDimensions(console.width, 36)))

    async def run() -> StreetRun:
        return await run_in_memory(
            street, start + DAY, watch=look,
            database=lambda name, salt: Database.open(state / "agents" / f"{name}.db", salt=salt),
        )  # fmt: skip

    root = logging.getLogger()
    root.setLevel(logging.INFO)
    root.addHandler(recent)
    try:
        ran = simulate(run)
        ran.close()
    finally:
        root.removeHandler(recent)
    return console.export_svg(title="wattmesh up -f examples/street.yaml", theme=_THEME)


class Camera:
    """Takes pictures of pages, as small as PNG allows, of those that are `wanted`."""

    def __init__(self, browser: Browser, wanted: tuple[str, ...]) -> None:
        self._browser = browser
        self._wanted = wanted

    def take(
        self, name: str, url: str, *, prepare: Callable[[Page], None] = lambda _: None, of: str = "", **options: Any
    ) -> None:
        """Picture of a page, or of the element `of`, as docs/images/`name`.png; `options` are a browser context's."""
        if not name.startswith(self._wanted):
            return
        context = self._browser.new_context(**options)
        page = context.new_page()
        page.goto(url)
        prepare(page)
        path = IMAGES / f"{name}.png"
        if of:
            page.locator(of).screenshot(path=path)
        else:
            page.screenshot(path=path)
        context.close()
        sys.stdout.write(f"{path.relative_to(IMAGES.parents[1])}: {path.stat().st_size / 1000:.0f} kB\n")


def scroll_to(anchor: str) -> Callable[[Page], None]:
    """So that an element is at the top."""

    def scroll(page: Page) -> None:
        page.locator(anchor).evaluate("element => { element.scrollIntoView({behavior: 'instant'}); scrollBy(0, -12) }")

    return scroll


def take_report(camera: Camera, state: Path, folder: Path) -> None:
    """The report of a state directory."""
    page = folder / "report.html"
    report([str(demo_manifest())], None, state, None, None, ReportOutput.HTML, page)
    url = page.as_uri()
    camera.take("report", url, viewport=DESKTOP)
    camera.take("report-dark", url, viewport=DESKTOP, color_scheme="dark", prepare=scroll_to("#flow"))
    camera.take("report-bills", url, viewport=DESKTOP, prepare=scroll_to("#bills"))
    camera.take("report-phone", url, viewport=PHONE, is_mobile=True, has_touch=True)


def take_terminal(camera: Camera, svg: str, folder: Path) -> None:
    """The live view that a terminal shows."""
    page = folder / "terminal.html"
    page.write_text(f"<!doctype html><title>terminal</title><body style='margin:0'>{svg}")
    camera.take("terminal", page.as_uri(), of="svg", viewport=DESKTOP)


@contextmanager
def street_over_http(folder: Path) -> Iterator[str]:
    """`wattmesh up` with the demo's street; gives the live page's address, with which it is logged in."""
    wattmesh = Path(sys.executable).with_name("wattmesh")
    command = [str(part) for part in (wattmesh, "up", "-f", demo_manifest(), "--state", folder, "--speed", LIVE_SPEED)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - its own command
        lines = process.stdout or ()
        try:
            url = next(found[0] for line in lines if (found := re.search(r"http://127\.0\.0\.1:\d+/", line)))
            yield f"{url}#token={read_token(folder / TOKEN).text}"
        finally:
            process.terminate()


def take_live(camera: Camera, folder: Path) -> None:
    """The live page while neighbours trade: the street, light, dark and on a phone; a trade; and after its gateway is
    gone. Then a town of 1,000 households.
    """
    with street_over_http(folder) as url:
        camera.take("live", url, viewport=DESKTOP, prepare=until_trading)
        camera.take("live-dark", url, viewport=DESKTOP, color_scheme="dark", prepare=until_trading)
        camera.take("live-phone", url, viewport=PHONE, is_mobile=True, has_touch=True, prepare=until_trading)
        camera.take("live-trade", url, viewport=DESKTOP, prepare=open_trade)
        camera.take("live-gone", url, viewport=DESKTOP, prepare=lose_gateway)
    with town() as made:
        camera.take("live-town", f"{made.url}#token={MADE_TOKEN.text}", viewport=DESKTOP, prepare=until_summed)


def take_history(camera: Camera, state: Path) -> None:
    """The live page of a street that has a day in its books."""
    with street_over_http(state) as url:
        camera.take("live-history", url, viewport=DESKTOP | {"height": 1080}, prepare=go_back)
        camera.take("live-public", url.partition("#")[0], viewport=DESKTOP, prepare=until_told)


def until_trading(page: Page) -> None:
    """Wait until a trade is paid and another's energy is on its way."""
    expect(paid_trades(page).first).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("#graph .flow.now").first).to_be_attached(timeout=PATIENCE_MS)


def open_trade(page: Page) -> None:
    """Open a trade that is paid."""
    until_trading(page)
    paid_trades(page).first.click()
    expect(page.locator("#trade svg.sequence")).to_be_visible()


def go_back(page: Page) -> None:
    """Choose the slot of 11:00, the twentieth after the start."""
    slider = page.get_by_label("Slot that is shown")
    expect(slider).to_be_visible(timeout=PATIENCE_MS)
    slider.fill("20")
    expect(page.locator("#street-title")).to_have_text("Energy in this slot, from the books")
    page.evaluate("scrollTo(0, 0)")


def lose_gateway(page: Page) -> None:
    """Let the gateway answer no more."""
    until_trading(page)
    page.clock.install()
    page.route("**/events", lambda route: route.abort())
    page.evaluate("window.stop()")
    page.clock.fast_forward("00:13")
    page.clock.fast_forward("00:16")
    expect(page.locator("#connection-text")).to_have_text("gateway gone", timeout=PATIENCE_MS)


def until_told(page: Page) -> None:
    """Wait until the sums of slots are there, of somebody who has not logged in."""
    expect(page.locator("#public-rows tr").first).to_be_visible(timeout=PATIENCE_MS)


def until_summed(page: Page) -> None:
    """Wait until all feeders have told their day."""
    saved = page.locator("#feeder-table tbody tr > :nth-child(8)")
    expect(saved.first).not_to_have_text("–", timeout=PATIENCE_MS)
    expect(saved.last).not_to_have_text("–", timeout=PATIENCE_MS)


def paid_trades(page: Page) -> Locator:
    """The trades of the list that are paid, the newest first."""
    return page.locator("#trades a").filter(has=page.locator(".state", has_text="paid"))


def main(wanted: tuple[str, ...]) -> None:
    """Make the pictures."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        svg = run_street(folder / "state")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
            camera = Camera(browser, wanted)
            take_report(camera, folder / "state", folder)
            take_terminal(camera, svg, folder)
            take_live(camera, folder / "live")
            take_history(camera, folder / "state")
            browser.close()


if __name__ == "__main__":
    main(tuple(sys.argv[1:]) or ("",))
