"""What a search costs in a study: sellers are asked only where they may answer something else than before."""

from __future__ import annotations

from pathlib import Path

import pytest

import wattmesh
from tests.world.manifests import MARKET, households, utility
from wattmesh_market.parties.party import Party
from wattmesh_market.parties.selling import offers_to
from wattmesh_market.study import feeder
from wattmesh_market.trade.messages import Search
from wattmesh_market.trade.offers import Offer


def test_a_seller_is_asked_again_only_once_something_has_happened_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of twenty flats each searches for itself; the utility, of which nobody buys, is asked once for a slot by all of
    them, a roof once more after each sale.
    """
    asked: dict[tuple[str, int], int] = {}

    def noted(party: Party, buyer: str, message: Search) -> tuple[tuple[int, Offer], ...]:
        if message.until is None:
            asked[party.name, message.slot] = asked.get((party.name, message.slot), 0) + 1
        return offers_to(party, buyer, message)

    monkeypatch.setattr(feeder, "offers_to", noted)
    homes = [
        households("roof", "pv: {peakKw: 20}, battery: {capacityKwh: 10, initialKwh: 5}"),
        households("flat", "load: {annualKwh: 3000}", replicas=20),
    ]
    (tmp_path / "street.yaml").write_text(MARKET + utility() + "".join(homes))
    study = wattmesh.Study.from_manifests([tmp_path / "street.yaml"])
    results = study.run(days=1, state=tmp_path / "state", progress=False)

    contracts = results.contracts
    assert len(contracts) > 200
    by_roof = {slot: number for (name, slot), number in asked.items() if name == "roof-0"}
    assert sum(by_roof.values()) <= len(by_roof) + len(contracts)
    assert not results.audit().findings
