"""The report's page: nothing of the books is markup, one word has one number, and what it came from is in it."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser

from tests.browser.towns import town
from tests.cli.report.support import MARKET, ORIGIN, reported
from tests.cli.street_books import MANIFEST
from tests.world.manifests import planned
from wattmesh_cli.names import Names
from wattmesh_cli.report import sentences
from wattmesh_cli.report.content import Content
from wattmesh_cli.report.page import page
from wattmesh_cli.report.tables import Table, bills, cards, compared, energy, single
from wattmesh_cli.street.simulation import fingerprint
from wattmesh_cli.street_record import resources_of
from wattmesh_operator.manifests import as_yaml

EVIL = "<script>alert(1)</script>"


class Tags(HTMLParser):
    """Counts a page's tags."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.count: defaultdict[str, int] = defaultdict(int)
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self.count[tag] += 1


def numbers(shown: Content) -> defaultdict[str, set[str]]:
    """Every number of all households together that the page shows, by the word that it stands under."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for card in cards(shown):
        found[card.name].add(card.cell.text)
    for table in (bills(shown), energy(shown)):
        assert table.total is not None
        for column, cell in zip(table.columns[1:], table.total.cells, strict=True):
            found[_word(column)].add(cell.text)
    for row in single(shown).rows:
        found[_word(row.name)].add(row.cells[0].text)
    for word, texts in _of_comparison(compared(shown)).items():
        found[word] |= texts
    return found


def _of_comparison(table: Table) -> dict[str, set[str]]:
    """What was stands under a row's name; what would have been, under the column's, where it is the bill."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for row in table.rows:
        was, no_market, utility_only, _ = row.cells
        if row.name == "Bill":
            found["Bill"].add(was.text)
            found["No market"].add(no_market.text)
            found["Utility only"].add(utility_only.text)
        elif row.name == "Savings":
            found["Saved against no market"].add(no_market.text)
            found["Saved against utility only"].add(utility_only.text)
        else:
            found[row.name] |= {cell.text for cell in (was, no_market, utility_only) if cell.why is None}
    return found


def _word(column: str) -> str:
    return re.sub(r" \(.*\)$", "", column)


def test_one_word_has_one_number() -> None:
    for shown in (reported(), town(40)):
        found = numbers(shown)
        several = {word for word, texts in found.items() if len(texts) > 1}
        assert several <= {"Gini coefficient", "Losers"}, "these are of each comparison, and have no card"
        assert len(found["Benefit"]) == len(found["Saved against no market"]) == 1


def test_every_number_of_the_cards_is_on_the_page_as_it_is_in_the_tables() -> None:
    html = page(reported())
    for card in cards(reported()):
        shown = re.search(rf"<dt>{re.escape(card.name)}</dt><dd><strong>([^<]*)</strong>", html)
        assert shown, card.name
        assert unescape(shown[1]) in numbers(reported())[card.name]


def test_it_opens_with_what_the_street_saved() -> None:
    html = page(reported())
    [opening] = re.findall(r'<p class="opening">(.*?)</p>', html)
    assert html.index(opening) < html.index("<dl")
    assert unescape(opening) == sentences.opening(reported())


def test_nothing_of_the_books_is_markup() -> None:
    plain = Tags(page(reported())).count
    names = {name: f"{EVIL}.{number}" for number, name in enumerate(reported().households)}
    evil = reported(market=replace(MARKET, name=EVIL, currency=EVIL))
    evil = replace(evil, origin=replace(ORIGIN, manifests=EVIL), names=Names(names.values()))
    html = page(evil)
    assert Tags(html).count == plain
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_what_is_undefined_is_a_dash_that_says_why() -> None:
    html = page(reported([]))
    assert '<span class="undefined" title="Undefined: nothing was used."><span aria-hidden="true">–</span>' in html
    assert "Nothing is known of this street yet: no slot was metered." in html


def test_manifests_and_seed_are_in_it() -> None:
    plan = planned(MANIFEST)
    shown = replace(reported(), origin=replace(ORIGIN, manifests=as_yaml(resources_of(plan))))
    html = page(shown)
    assert '<span id="seed">7</span>' in html
    [embedded] = re.findall(r'<pre id="manifests"[^>]*>(.*?)</pre>', html, re.DOTALL)
    assert fingerprint(planned(unescape(embedded))) == fingerprint(plan), "it is the same street"


def test_a_run_without_a_seed_says_so() -> None:
    assert "Keys and ids were random" in page(replace(reported(), origin=replace(ORIGIN, seed=None)))
