"""What the API server refuses, and how it says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.kube import CommandFailed, Kube

pytestmark = pytest.mark.e2e

CASES: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("bad_manifests.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def nowhere(cluster: Kube) -> Iterator[Kube]:
    """A namespace in which no pod comes up: some cases need a resource that is there, none needs what it makes."""
    kube = cluster.of("refused")
    kube.make()
    kube(*("create", "quota", "no-pods", "--hard=pods=0"))
    yield kube
    kube.leave()


@pytest.mark.parametrize("case", CASES, ids=[case["rule"] for case in CASES])
def test_a_bad_manifest_is_refused_with_what_is_wrong(nowhere: Kube, case: dict[str, Any]) -> None:
    if "before" in case:
        nowhere.apply(case["before"])

    with pytest.raises(CommandFailed) as refused:
        nowhere.apply(case["manifest"])

    said = str(refused.value)
    assert case["message"] in said
    assert case.get("field", "") in said
