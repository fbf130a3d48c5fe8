"""Reading files, folders and standard input."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from wattmesh_operator.manifests import load
from wattmesh_operator.plan import plan
from wattmesh_operator.resources import BecknGateway, Load, ObjectMeta, Resource, SolarAgent, SolarAgentSpec
from wattmesh_operator.resources.mistakes import ManifestErrors
from wattmesh_operator.resources.parsing import parse_resource

GATEWAY = "apiVersion: wattmesh.io/v1alpha1\nkind: BecknGateway\nmetadata: {name: market}\n"
UTILITY = """apiVersion: wattmesh.io/v1alpha1
kind: UtilityAgent
metadata: {name: utility}
spec: {tariff: {price: 0.25, feedIn: 0.08}, capacityKw: 50}
"""
MEASURED = """apiVersion: wattmesh.io/v1alpha1
kind: SolarAgent
metadata: {name: measured}
spec: {profile: {csv: day.csv}}
"""


# A line more, and it stands for twice as many values.
MERGED = b"a0: &a0 {k: 1}\n" + b"".join(b"a%d: &a%d {<<: [*a%d, *a%d]}\n" % (n, n, n - 1, n - 1) for n in range(1, 40))
NESTED = b"a0: &a0 [x, x]\n" + b"".join(b"a%d: &a%d [*a%d, *a%d]\n" % (n, n, n - 1, n - 1) for n in range(1, 40))


def measured_day(day: str = "2026-06-21", load_wh: int = 100) -> str:
    """A profile of one day, in hours."""
    rows = [f"{day}T{hour:02}:00:00+02:00,0,{load_wh}\n" for hour in range(24)]
    return "slot,pv_wh,load_wh\n" + "".join(rows)


def errors(*paths: str | Path) -> list[str]:
    with pytest.raises(ManifestErrors) as raised:
        load(paths)
    return str(raised.value).splitlines()


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_resources_come_in_the_order_of_files_and_documents() -> None:
    Path("b.yaml").write_text(f"# the market\n---\n{GATEWAY}---\n---\n# nothing more\n")
    Path("a.yaml").write_text(UTILITY)
    assert [resource.kind for resource in load(["b.yaml", "a.yaml"])] == ["BecknGateway", "UtilityAgent"]


def test_a_folder_stands_for_its_yaml_files() -> None:
    Path("mesh").mkdir()
    Path("mesh/1.yml").write_text(GATEWAY)
    Path("mesh/2.yaml").write_text(UTILITY)
    Path("mesh/README.md").write_text("Not a manifest.")
    assert [resource.kind for resource in load(["mesh"])] == ["BecknGateway", "UtilityAgent"]


def test_a_dash_stands_for_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(GATEWAY.encode())))
    assert [resource.metadata.name for resource in load(["-"])] == ["market"]


def test_the_namespace_is_that_of_resources_which_name_none() -> None:
    Path("a.yaml").write_text(GATEWAY)
    Path("b.yaml").write_text(GATEWAY.replace("{name: market}", "{name: market, namespace: north}"))
    assert [r.metadata.namespace for r in load(["a.yaml", "b.yaml"], namespace="south")] == ["south", "north"]


def test_a_profile_is_found_from_the_folder_of_its_manifest(tmp_path: Path) -> None:
    Path("mesh").mkdir()
    Path("mesh/mesh.yaml").write_text("---\n".join([GATEWAY, UTILITY, MEASURED]))
    csv = tmp_path / "mesh" / "day.csv"
    assert errors("mesh/mesh.yaml") == [
        f"mesh/mesh.yaml, document 3 (line 10), SolarAgent measured: spec.profile.csv: must be a file; there is none at"
        f" {csv}"
    ]
    csv.write_text(measured_day())
    measured = load(["mesh/mesh.yaml"])[-1]
    assert isinstance(measured, SolarAgent)
    assert measured.spec.profile is not None
    assert measured.spec.profile.csv == str(csv)


def test_a_folder_of_profiles_holds_one_for_each_household(tmp_path: Path) -> None:
    several = MEASURED.replace("profile: {csv: day.csv}", "replicas: 2, profile: {folder: days}")
    Path("mesh/days").mkdir(parents=True)
    Path("mesh/mesh.yaml").write_text("---\n".join([GATEWAY, UTILITY, several]))
    days = tmp_path / "mesh" / "days"
    (days / "measured-0.csv").write_text(measured_day())
    assert errors("mesh/mesh.yaml") == [
        "mesh/mesh.yaml, document 3 (line 10), SolarAgent measured: spec.profile.folder: must hold a file for each"
        f" household; there is none at {days / 'measured-1.csv'}"
    ]
    (days / "measured-1.csv").write_text(measured_day())
    resources = load(["mesh/mesh.yaml"])
    [gateway] = plan(resources)
    assert [household.profile_csv for pod in gateway.pods for household in pod.households] == [
        days / "measured-0.csv",
        days / "measured-1.csv",
    ]


def test_every_mistake_in_the_files_of_profiles_is_found_at_once(tmp_path: Path) -> None:
    several = MEASURED.replace("profile: {csv: day.csv}", "replicas: 3, connectionKw: 10, profile: {folder: days}")
    Path("days").mkdir()
    Path("mesh.yaml").write_text("---\n".join([GATEWAY, UTILITY, several]))
    days = tmp_path / "days"
    wrong = measured_day().replace("T03:00:00+02:00,0,100", "T03:00:00+02:00,much,100").replace("T05:", "T5:")
    (days / "measured-0.csv").write_text(wrong)
    (days / "measured-1.csv").write_text(measured_day("2026-12-21"))
    (days / "measured-2.csv").write_text(measured_day(load_wh=11_000))
    field = "mesh.yaml, document 3 (line 10), SolarAgent measured: spec.profile.folder: "
    assert errors("mesh.yaml") == [
        f"{field}{days / 'measured-0.csv'}: line 5, column 2 (pv_wh): 'much' is no number with a decimal point",
        f"{field}{days / 'measured-0.csv'}: line 7, column 1 (slot): '2026-06-21T5:00:00+02:00' is no time, as"
        " 2026-06-21T00:15:00+02:00",
        f"{field}{days / 'measured-1.csv'}: was measured from 21 December to 21 December, and clock.start is 21 June,"
        " another season: give a file of that season, or say that this one stands for it: wattmesh import-meter"
        " --move-to 2026-06-21",
        f"{field}{days / 'measured-2.csv'}: line 2: 11 kW from 2026-06-21T00:00+02:00 on are more than the 10 kW of the"
        " connection (96 of 96 slots, up to 11 kW): another unit (import-meter --unit), a register (--reading), or a"
        " stronger connection (spec.connectionKw, import-meter --connection-kw)?",
    ]


@pytest.mark.parametrize(
    ("measured", "of_season"),
    [("2025-05-10", True), ("2019-08-02", True), ("2026-05-01", False), ("2026-08-10", False), ("2026-01-01", False)],
)
def test_a_profile_of_the_same_season_of_another_year_is_taken(measured: str, of_season: bool) -> None:
    Path("mesh.yaml").write_text("---\n".join([GATEWAY, UTILITY, MEASURED]))
    Path("day.csv").write_text(measured_day(measured))
    assert of_season or "another season" in errors("mesh.yaml")[0]
    assert not of_season or load(["mesh.yaml"])


@pytest.mark.parametrize(
    ("content", "mistake"),
    [
        (b"", "has no resource; declare at least one"),
        (b"# only a comment\n---\n", "has no resource; declare at least one"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (
            b"a: \x01b",
            "document 1 (line 1): is not valid YAML: unacceptable character #x0001: special characters are not",
        ),
        (
            b"a: b\n c: d",
            "document 1 (line 1): is not valid YAML in line 2, column 3: mapping values are not allowed here",
        ),
        (b"a: [" + 4000 * b"[", "document 1 (line 1): is not valid here: nested too deeply"),
        (
            b"a: !!python/name:os.system",
            "document 1 (line 1): is not valid YAML in line 1, column 4: could not determine a constructor for the tag",
        ),
        (
            b"a: !!int x",
            "document 1 (line 1): is not valid YAML in line 1, column 4: not a number, or too long for one",
        ),
        (b"a: " + 5000 * b"1", "document 1 (line 1): is not valid YAML in line 1, column 4: not a number, or too long"),
        (b"a: !!bool x", "document 1 (line 1): is not valid YAML in line 1, column 4: neither true nor false"),
        (b"a: 1e99999999999999999999", "document 1 (line 1): is not valid YAML in line 1, column 4: not a number"),
        (b"? [a]\n: b", "document 1 (line 1): is not valid YAML in line 1, column 3: found unhashable key"),
        (b"---\na: 1\n" * 20_000, "has 20001 documents; at most 5000 are read from a file"),
        (MERGED, "document 1 (line 1): has more than 100000 values, with those that aliases and merge keys repeat"),
        (NESTED, "document 1 (line 1): has more than 100000 values, with those that aliases and merge keys repeat"),
        (b"a: &a [*a]", "document 1 (line 1): has more than 100000 values, with those that aliases and merge keys"),
        (b'kind: "\\ud800"', "document 1 (line 1), \\ud800: apiVersion: must be wattmesh.io/v1alpha1, not null"),
    ],
)
def test_a_file_that_cannot_be_read(content: bytes, mistake: str) -> None:
    Path("bad.yaml").write_bytes(content)
    first = errors("bad.yaml")[0]
    assert first.removeprefix("bad.yaml").lstrip(",: ").startswith(mistake)


def test_paths_that_lead_nowhere() -> None:
    Path("empty").mkdir()
    assert errors("missing.yaml", "empty", "null\0character") == [
        "missing.yaml: cannot be read: No such file or directory",
        "empty: has no *.yaml or *.yml file",
        "null\0character: cannot be read: embedded null byte",
    ]


def test_a_repeated_key_is_told_with_its_line_and_with_the_other_mistakes() -> None:
    Path("a.yaml").write_text(f"{GATEWAY}spec:\n  currency: EUR\n  clock: {{speed: 1, speed: 2}}\n  currency: euro\n")
    assert errors("a.yaml") == [
        "a.yaml, document 1 (line 1): spec.currency: is there twice, again in line 7; keep one",
        "a.yaml, document 1 (line 1): spec.clock.speed: is there twice, again in line 6; keep one",
        "a.yaml, document 1 (line 1), BecknGateway market: spec.currency: must be an ISO 4217 currency code of three"
        ' capital letters such as EUR, not "euro"',
    ]


def test_mistakes_of_all_files_come_in_the_order_of_files_and_documents() -> None:
    Path("a.yaml").write_text(f"{UTILITY}---\nkind: [\n---\n{GATEWAY}spec: {{currency: 5}}\n")
    Path("b.yaml").write_text("")
    Path("c.yaml").write_text(UTILITY)
    assert [line.split(": ")[0] for line in errors("c.yaml", "b.yaml", "a.yaml")] == [
        "b.yaml",
        "a.yaml, document 1 (line 1), UtilityAgent utility",
        "a.yaml, document 2 (line 5)",
        "a.yaml, document 3 (line 8), BecknGateway market",
    ]


def test_an_object_from_kubernetes_is_read_like_a_manifest() -> None:
    stored = {
        "apiVersion": "wattmesh.io/v1alpha1",
        "kind": "SolarAgent",
        "metadata": {"name": "rooftop", "namespace": "street", "uid": "c0ffee", "generation": 2, "managedFields": []},
        "spec": {"battery": {"capacityKwh": 13.5, "initialKwh": 0.1, "minKwh": 0}, "pv": None},
        "status": {"replicas": 1},
    }
    agent = parse_resource(stored)
    assert isinstance(agent, SolarAgent)
    assert agent.spec.battery is not None
    assert str(agent.spec.battery.initial_kwh) == "0.1"


def test_times_and_numbers_are_read_as_kubectl_reads_them(resources_of: Callable[[str], Sequence[Resource]]) -> None:
    [gateway] = resources_of(f"{GATEWAY}spec: {{clock: {{start: 2026-06-21T06:00:00+02:00, speed: 1e2}}}}")
    assert isinstance(gateway, BecknGateway)
    assert gateway.spec.clock.start.isoformat() == "2026-06-21T06:00:00+02:00"
    assert gateway.spec.clock.speed == 100


def test_documents_and_resources_are_loaded_as_files_are(tmp_path: Path) -> None:
    """All mistakes at once."""
    (tmp_path / "market.yaml").write_text(GATEWAY)
    sun = {"kind": "SolarAgent", "metadata": {"name": "sun"}, "spec": {"load": {"annualKwh": -1}}}
    roof = SolarAgent(metadata=ObjectMeta(name="roof"), spec=SolarAgentSpec(load=Load(annual_kwh=Decimal(1))))
    with pytest.raises(ManifestErrors) as caught:
        load([sun, roof, tmp_path / "market.yaml"])
    assert [str(mistake) for mistake in caught.value.mistakes] == [
        "SolarAgent sun: apiVersion: is missing; must be wattmesh.io/v1alpha1",
        "SolarAgent sun: spec.load.annualKwh: must be a number of kWh from 0 to 1000000000, not -1",
        "SolarAgent roof: spec.utilityRef: is missing, and gateway market and feeder main has no UtilityAgent;"
        " declare one",
    ]


# --- prices ---

PRICED = UTILITY.replace("feedIn: 0.08", "feedIn: 0.08, series: {csv: spot.csv}")


def priced_day(day: str = "2026-06-21", unit: str = "EUR/MWh") -> str:
    """Prices of a day, in hours."""
    return f"slot,Spot ({unit})\n" + "".join(f"{day}T{hour:02}:00:00+02:00,{hour - 5}\n" for hour in range(24))


def priced_mesh(prices: str | None) -> list[str]:
    """Every mistake in a mesh with prices, from 21 June on."""
    Path("mesh").mkdir()
    start = "spec: {clock: {start: '2026-06-21T00:00:00+02:00'}}\n"
    Path("mesh/mesh.yaml").write_text(f"{GATEWAY}{start}---\n{PRICED}")
    if prices is not None:
        Path("mesh/spot.csv").write_text(prices)
    return errors("mesh/mesh.yaml")


IN_SERIES = "mesh/mesh.yaml, document 2 (line 6), UtilityAgent utility: spec.tariff.series.csv: "


def test_a_path_of_prices_starts_at_the_manifests_folder(tmp_path: Path) -> None:
    Path("mesh").mkdir()
    Path("mesh/mesh.yaml").write_text(
        f"{GATEWAY}spec: {{clock: {{start: '2026-06-21T00:00:00+02:00'}}}}\n---\n{PRICED}"
    )
    Path("mesh/spot.csv").write_text(priced_day())
    [gateway] = plan(load(["mesh/mesh.yaml"]))
    file = gateway.pods[0].utilities[0].tariff.file
    assert file is not None
    assert file.path == tmp_path / "mesh/spot.csv"


def test_prices_must_be_a_file(tmp_path: Path) -> None:
    assert priced_mesh(None) == [f"{IN_SERIES}must be a file; there is none at {tmp_path}/mesh/spot.csv"]


def test_mistakes_in_prices_are_told_by_line_and_column(tmp_path: Path) -> None:
    path = f"{tmp_path}/mesh/spot.csv"
    found = priced_mesh(priced_day(unit="%").replace(",7\n", ",seven\n"))
    assert [one.removeprefix(f"{IN_SERIES}{path}: ") for one in found] == [
        "line 1, column 2 (Spot (%)): names no unit, as EUR/MWh; tell it: series.unit (perKwh, perMwh, centPerKwh)",
        "line 14, column 2 (Spot (%)): 'seven' is no number with a decimal point",
    ]


def test_prices_must_begin_before_grid_time_does(tmp_path: Path) -> None:
    assert priced_mesh(priced_day("2026-06-22")) == [
        f"{IN_SERIES}{tmp_path}/mesh/spot.csv: has prices from 2026-06-22 00:00 to 2026-06-23 00:00, and clock.start is"
        " 2026-06-21 00:00: give prices from then on, or start when they do"
    ]


def test_mistakes_in_prices_in_the_manifest_are_told_by_line_and_column() -> None:
    Path("mesh.yaml").write_text(PRICED.replace("csv: spot.csv", r'inline: "time,EUR/kWh price\n2026-06-21T00:00Z,x"'))
    assert any(
        "spec.tariff.series.inline: line 2, column 2 (EUR/kWh price): 'x' is no number" in one
        for one in errors("mesh.yaml")
    )


def test_a_zone_that_there_is_not_is_told() -> None:
    Path("spot.csv").write_text(priced_day())
    Path("mesh.yaml").write_text(PRICED.replace("csv: spot.csv", "csv: spot.csv, timezone: Europe/Atlantis"))
    found = errors("mesh.yaml")
    assert any("spec.tariff.series.timezone: Europe/Atlantis: no such zone here" in one for one in found)
