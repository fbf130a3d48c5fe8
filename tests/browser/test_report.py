"""The report as people see it: every plot is drawn without a network, in both themes, on a phone, by keyboard."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.support import Visits, inaccessible
from tests.browser.towns import town
from tests.cli.kpi.small_street import small_street
from tests.cli.report.support import ORIGIN, reported
from wattmesh_cli.report.page import page as page_of

pytestmark = pytest.mark.browser

OVER_TIME = ("power", "level", "price", "trades")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("small") / "report.html"
    path.write_text(page_of(reported()))
    return path.as_uri()


def marks(page: Page, plot: str) -> int:
    """How many curves, bars and links a plot has drawn."""
    return page.locator(f"#{plot} :is(.scatterlayer .trace, .barlayer .trace, .sankey-link)").count()


def range_of(page: Page, plot: str) -> list[str]:
    found: list[str] = page.evaluate("plot => document.getElementById(plot).layout.xaxis.range", plot)
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_plots_are_drawn_without_a_network(visits: Visits, small: str, scheme: str) -> None:
    page = visits.open(small, offline=True, color_scheme=scheme)
    # PV, load, net import; level and capacity; tariff, feed-in, local; local, from and to the backstop; two sales.
    assert [marks(page, plot) for plot in (*OVER_TIME, "flows")] == [3, 2, 3, 3, 2]
    page.get_by_label("with the backstop").check()
    assert marks(page, "flows") == 5


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("of", ["small", "wrong", "unbooked"])
def test_machines_find_nothing_wrong(visits: Visits, tmp_path: Path, scheme: str, of: str) -> None:
    roof, *others = small_street()
    first, *later = roof.readings
    shown = reported(
        {
            "small": [roof, *others],
            "wrong": [replace(roof, readings=(replace(first, pv_wh=first.pv_wh + 1), *later)), *others],
            "unbooked": [replace(roof, readings=(replace(first, state="final"), *later)), *others],
        }[of]
    )
    assert bool(shown.audited.findings) == (of != "small")
    path = tmp_path / "report.html"
    path.write_text(page_of(shown))
    page = visits.open(path.as_uri(), color_scheme=scheme)
    for details in page.locator("summary").all():
        details.click()
    assert inaccessible(page) == []


@pytest.mark.parametrize("plot", [*OVER_TIME, "flows"])
def test_every_figure_is_saved_as_an_image(visits: Visits, small: str, plot: str) -> None:
    page = visits.open(small, offline=True)
    begins = {"png": b"\x89PNG\r\n", "svg": b"<svg"}
    title = page.locator(f"#{plot}-title").inner_text()
    for form, first in begins.items():
        with page.expect_download() as started:
            page.locator(f"[data-save={plot}][data-form={form}]").click()
        assert started.value.suggested_filename == f"street-{plot}.{form}"
        image = started.value.path().read_bytes()
        assert image.startswith(first)
    assert title.split()[0] in image.decode(), "an image stands alone, with its title"
    assert "backstop" in image.decode() or plot not in ("trades",), "and its legend"


def test_the_manifests_are_saved_as_a_file(visits: Visits, small: str) -> None:
    page = visits.open(small)
    page.get_by_text("The manifests of this street").click()
    with page.expect_download() as started:
        page.get_by_role("button", name="Save as street.yaml").click()
    assert started.value.path().read_text() == ORIGIN.manifests
    assert page.locator("#seed").inner_text() == str(ORIGIN.seed)


def test_the_time_axes_are_one(visits: Visits, small: str) -> None:
    page = visits.open(small)
    whole = range_of(page, "power")
    assert [range_of(page, plot) for plot in OVER_TIME] == [whole] * 4
    page.evaluate("Plotly.relayout('price', {'xaxis.range': ['2026-06-21 12:10:00', '2026-06-21 12:20:00']})")
    assert {tuple(range_of(page, plot)) for plot in OVER_TIME} == {("2026-06-21 12:10:00", "2026-06-21 12:20:00")}


def test_the_level_of_one_household(visits: Visits, small: str) -> None:
    page = visits.open(small)
    page.get_by_label("Whose").select_option("store")
    shown = page.evaluate(
        "document.getElementById('level').data.filter(curve => curve.visible).map(curve => curve.name)"
    )
    assert shown == ["store", "Capacity"]


def test_tables_are_sorted_by_keyboard(visits: Visits, small: str) -> None:
    page = visits.open(small)
    table = page.get_by_role("table", name="Bills of each household")
    head = table.get_by_role("columnheader", name="Bill", exact=True)

    def first_column() -> list[str]:
        return table.locator("tbody th").all_inner_texts()

    assert first_column() == ["flat", "roof", "store"]
    head.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert first_column() == ["roof", "store", "flat"]  # −0.124, 0.07, 0.18
    assert head.get_attribute("aria-sort") == "ascending"
    page.keyboard.press("Enter")
    assert first_column() == ["flat", "store", "roof"]
    assert head.get_attribute("aria-sort") == "descending"


def test_who_cannot_see_it_is_told(visits: Visits, small: str) -> None:
    page = visits.open(small)
    for landmark in ("banner", "main", "contentinfo"):
        assert page.get_by_role(landmark).count() == 1
    assert page.get_by_role("heading", level=1).inner_text() == "street"
    plots = page.locator("figure > [role=img]").all()
    assert len(plots) == 5
    for plot in plots:
        says = page.locator(f"#{plot.get_attribute('aria-describedby')}").inner_text()
        assert says.endswith(".")
    assert page.locator("table:not(:has(caption))").count() == 0
    assert page.locator("th:not([scope])").count() == 0


@pytest.mark.parametrize("width", [320, 390])
def test_nothing_sticks_out_on_a_phone(visits: Visits, small: str, width: int) -> None:
    page = visits.open(small, viewport={"width": width, "height": 844}, is_mobile=True, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_printed_in_light_colours(visits: Visits, small: str) -> None:
    page = visits.open(small, color_scheme="dark")
    colour = "document.getElementById('power').layout.font.color"
    drawn = page.evaluate(colour)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(colour) != drawn
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(colour) == drawn


def test_a_town_of_a_thousand_households_stays_readable(visits: Visits, tmp_path: Path) -> None:
    path = tmp_path / "town.html"
    path.write_text(page_of(town(1000)))
    assert path.stat().st_size < 15_000_000
    page = visits.open(path.as_uri())
    assert page.get_by_role("heading", level=1).inner_text() == "town & <country>"
    # 40 SolarAgents are too many for a diagram; each of 8 feeders sells to and buys of one other.
    assert page.locator("#flows .sankey-node").count() == 16
    assert page.get_by_label("Whose").count() == 0
    assert page.get_by_role("table", name="Bills of each household").locator("tbody tr").count() == 1000


def test_a_street_that_has_not_begun(visits: Visits, tmp_path: Path) -> None:
    path = tmp_path / "empty.html"
    path.write_text(page_of(reported([])))
    page = visits.open(path.as_uri())
    assert page.locator("figcaption", has_text="No slot was metered.").count() == 4
    dashes: list[Any] = page.locator(".cards .undefined").evaluate_all("all => all.map(one => one.title)")
    assert "Undefined: nothing was used." in dashes
