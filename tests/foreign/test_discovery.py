from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

from tests.foreign.discovery import discovered


def test_a_buyer_finds_over_http_what_a_seller_of_another_network_has_published(tmp_path: Path) -> None:
    seen, found = asyncio.run(discovered(tmp_path / "registry.db"))
    [catalog] = found["message"]["catalogs"]
    assert (catalog["bppId"], catalog["bppUri"]) == ("seller.example", "http://seller.example/beckn")
    told = {one.path: one.request["message"] for one in seen}["/catalog/on_publish"]
    assert [(one["catalogId"], one["status"]) for one in told["results"]] == [
        ("catalog-seller.example", "ACCEPTED"),
        ("bad", "REJECTED"),
    ]
    assert Counter(one.path for one in seen) == {
        "/catalog/publish": 1,
        "/catalog/on_publish": 1,
        "/discover": 4,
        "/on_discover": 2,
    }
