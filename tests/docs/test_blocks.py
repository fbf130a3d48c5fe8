"""Every block of the documentation's pages is what its language says, and every command one that there is."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer.main
import yaml
from packaging.requirements import Requirement

from docs.generate.commands import imported
from docs.generate.sources import ROOT
from tests.docs.elsewhere import REASONS, reason
from tests.docs.pages import PAGES, SHELL, Block, Command, blocks, commands, spans
from tests.world.manifests import MARKET, households, utility
from tests.world.subscribers import entry_at, signer
from wattmesh_beckn.codec.v1.codec import CodecV1
from wattmesh_beckn.messages import read_call
from wattmesh_beckn.receiver import Received
from wattmesh_cli.main import app
from wattmesh_market.trade.messages import Search
from wattmesh_operator.manifests import load
from wattmesh_operator.resources import type_of_kind

Json = dict[str, Any]

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WATTMESH = typer.main.get_group(app)
SUBCOMMANDS = imported(WATTMESH)
CRDS = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((ROOT / "crds").glob("*.yaml"))}
VALUES = yaml.safe_load((ROOT / "charts" / "wattmesh" / "values.yaml").read_text())
VALUES_SCHEMA = json.loads((ROOT / "charts" / "wattmesh" / "values.schema.json").read_text())
TARGETS = set(re.findall(r"^([a-z0-9-]+):.*## ", (ROOT / "Makefile").read_text(), re.M))
MADE = ("cluster.yaml", "profiles/manifests.yaml", "profiles", "profiles/default/rooftop", "./key", "-")
"""Files in commands that the page itself shows, or the command before makes."""
LANGUAGES = {"sh", "console", "yaml", "json", "python", "toml", "dockerfile", "mermaid", "text", "{code-cell} python"}
"""Blocks in braces are Sphinx's own: `make docs` fails where one is not right, and runs those that are code."""
DIAGRAMS = {
    "stateDiagram-v2": r"(\[\*\]|\w+) --> (\[\*\]|\w+)(: [^;]+)?",  # a semicolon would end the statement
    "graph TD;": r"\w+\(.*\)(:::\w+)?|\w+ (-->|-\.->) \w+;|classDef \w+ [\w:#,.-]+",
}
"""The lines of each kind that the pages have."""
OF_KUBERNETES = {
    "pods",
    "configmap",
    "deployments",
    "deployment",
    "events",
    "lease",
    "namespace",
    "pod",
    "pvc",
    "secret",
    "service",
}
KUBECTL = {
    "annotate",
    "apply",
    "create",
    "delete",
    "describe",
    "explain",
    "get",
    "logs",
    "port-forward",
    "scale",
    "wait",
}


class _AsWritten(yaml.SafeLoader):
    """Times stay text, as in a manifest."""


_AsWritten.yaml_implicit_resolvers = {
    first: [one for one in resolvers if one[0] != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def of(*languages: str) -> list[Block]:
    return [block for page in PAGES for block in blocks(page, *languages)]


COMMANDS = [command for page in PAGES for command in commands(page)]


def starting(*words: str) -> list[Command]:
    found = [command for command in COMMANDS if command.words[: len(words)] == list(words)]
    assert found
    return found


# --- blocks ---


def test_every_block_says_what_it_is() -> None:
    known = [block for block in of() if block.language in LANGUAGES or block.language == "{toctree}"]
    assert [block.where for block in of() if block not in known and block.language] == []
    words = "|".join(sorted({command.words[0] for command in COMMANDS} - {"."}))
    hidden = [block.where for block in of("", "text") if re.search(rf"^(\$ )?({words}) ", block.text, re.M)]
    assert hidden == [], "commands stand in blocks of the language sh"


@pytest.mark.parametrize("block", [block for block in of("yaml") if block.file is None], ids=lambda block: block.where)
def test_yaml_is_what_it_belongs_to(block: Block, tmp_path: Path) -> None:
    for part in yaml.load_all(block.text, _AsWritten):
        if "kind" in part and part.get("apiVersion", "wattmesh.io/v1alpha1").startswith("wattmesh.io/"):
            _load(part, tmp_path)
        elif part.get("apiVersion") == "kubernetes.dask.org/v1":
            for of_pods in (part["spec"]["worker"]["spec"], part["spec"]["scheduler"]["spec"]):
                [container] = of_pods["containers"]
                assert container["args"][:2] == ["python", "-m"]
                assert find_spec(container["args"][2])
        elif part.get("kind") == "CronJob":  # run by tests/e2e/test_restored.py
            [container] = part["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
            assert container["image"] == f"wattmesh/runtime:{PROJECT['version']}"
            assert find_spec(container["command"][2])
        elif part.get("kind") == "VolumeSnapshot":
            assert part["spec"]["source"] == {"persistentVolumeClaimName": "rooftop-0"}
        elif set(part) <= set(VALUES):
            jsonschema.validate({**VALUES, **{key: _merged(VALUES[key], part[key]) for key in part}}, VALUES_SCHEMA)
        elif all(key.startswith("resource.customizations.health.") for key in part):  # of Argo CD
            assert {key.rpartition("wattmesh.io_")[2] for key in part} <= set(type_of_kind)
        else:
            [kind] = {kind for kind, model in type_of_kind.items() if set(part) <= set(_fields(kind)) and model}
            _load({"kind": kind, "spec": part}, tmp_path)


def _fields(kind: str) -> Mapping[str, Any]:
    [crd] = [crd for crd in CRDS.values() if crd["spec"]["names"]["kind"] == kind]
    fields: Mapping[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"][
        "properties"
    ]
    return fields


def _load(part: Json, folder: Path) -> None:
    """Load a manifest, or what a page shows of one, in a market that is otherwise sound."""
    needed = list(yaml.load_all(MARKET + utility() + households("house", "load: {annualKwh: 1}"), _AsWritten))
    [same] = [one for one in needed if one["kind"] == part["kind"]]
    if "profile" in part["spec"]:
        del same["spec"]["load"]
    whole = _merged(same, part)
    file = folder / "manifests.yaml"
    file.write_text(yaml.safe_dump_all([whole, *(one for one in needed if one is not same)]))
    assert len(load([file])) == len(needed)


def _merged(base: Any, over: Any) -> Any:
    if isinstance(base, dict) and isinstance(over, dict):
        return {**base, **{key: _merged(base.get(key), value) for key, value in over.items()}}
    return over


@pytest.mark.parametrize("block", of("toml"), ids=lambda block: block.where)
def test_toml_is_a_part_of_the_examples_project_file(block: Block) -> None:
    whole = tomllib.loads((ROOT / "examples" / "plugin" / "pyproject.toml").read_text())
    assert tomllib.loads(block.text)["project"].items() <= whole["project"].items()


@pytest.mark.parametrize("block", of("json"), ids=lambda block: block.where)
def test_json_is_a_message_that_the_codec_reads(block: Block) -> None:
    raw = json.loads(block.text)
    call = read_call(raw["context"]["action"], raw)
    partner = entry_at(call.context.timestamp.timestamp(), signer(call.context.sender), "BAP")
    received = Received(call.context.action, call.context, call.message, partner, block.text.encode(), "", 0)
    message = CodecV1("EUR").decode(received)
    assert isinstance(message, Search)
    assert message.energy_wh == 500


@pytest.mark.parametrize("block", of("dockerfile"), ids=lambda block: block.where)
def test_an_image_has_ours_or_the_wheel_and_what_an_extra_adds(block: Block) -> None:
    lines = [line for line in block.text.splitlines() if line and not line.startswith("#")]
    dockerfile, extras = (ROOT / "Dockerfile").read_text(), PROJECT["optional-dependencies"]
    if "COPY wattmesh-*.whl /tmp/" in lines:
        assert f"ARG PYTHON_IMAGE={lines[0].removeprefix('FROM ')}@" in dockerfile
        assert set(re.findall(r"wattmesh-\*\.whl\)\[(\w+)\]", block.text)) <= set(extras)
    else:
        assert lines[0] == "FROM wattmesh/runtime:VERSION"
        wanted = set(re.findall(r"'([\w-]+[>=].*?)'", block.text))
        assert wanted
        assert wanted <= {one for extra in extras.values() for one in extra}
    assert {line.split()[0] for line in lines} <= {"FROM", "USER", "COPY", "RUN"}
    assert re.fullmatch(r"USER 65532(:65532)?", lines[-1])
    for path in re.findall(r"/opt/wattmesh/\w+", block.text):
        assert path in dockerfile


@pytest.mark.parametrize("block", of("mermaid"), ids=lambda block: block.where)
def test_a_diagram_has_lines_of_its_kind(block: Block) -> None:
    text = re.sub(r"\A---\n.*?^---\n", "", block.text, flags=re.M | re.S)
    kind, *lines = [line.strip() for line in text.splitlines() if line.strip()]
    assert lines
    for line in lines:
        assert re.fullmatch(DIAGRAMS[kind], line), line


# --- commands ---


def test_every_command_is_one_of_these() -> None:
    known = {"wattmesh", "python", "uvx", "uv", "pip", "make", "git", "cd", ".", "export", "kubectl", "helm", "docker"}
    assert {command.words[0] for command in COMMANDS} == known


@pytest.mark.parametrize("command", starting("wattmesh"), ids=str)
def test_wattmesh_takes_these_words(command: Command) -> None:
    _parse(command.words[1:])


def test_other_programs_give_wattmesh_words_that_it_takes() -> None:
    for command in starting("uvx"):
        _parse(command.words[command.words.index("wattmesh") + 1 :])


def _parse(words: list[str]) -> None:
    """What typer makes of a command; a UsageError where it knows no such option, or takes no such value."""
    if words == ["--version"]:
        return
    context = typer.Context(WATTMESH, info_name="wattmesh")
    SUBCOMMANDS[words[0]].make_context(words[0], list(words[1:]), parent=context)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_sentences_say_of_commands_and_targets_is_there(page: Path) -> None:
    for span in spans(page):
        words = shlex.split(span.text) if span.text.startswith("make ") else span.text.split()
        if words[:1] == ["make"] and words[1:]:
            assert set(_targets(words[1:])) <= TARGETS, span
        if words[:1] != ["wattmesh"] or not words[1:] or words[1].startswith("-"):
            continue
        assert words[1] in SUBCOMMANDS, span
        command = SUBCOMMANDS[words[1]]
        if isinstance(command, typer.core.TyperGroup) and words[2:] and words[2] in command.commands:
            command = command.commands[words[2]]
        options = {name for one in command.params for name in getattr(one, "opts", ())}
        written = {re.match(r"-[-\w]*", word)[0] for word in words[2:] if word.startswith("-")}  # type: ignore[index]
        assert {name.rstrip("]") for name in written} <= options | {"--help"}, span


def _targets(words: list[str]) -> Iterator[str]:
    return (word for word in words if "=" not in word and word != "…")


@pytest.mark.parametrize("command", starting("make"), ids=str)
def test_make_has_these_targets(command: Command) -> None:
    assert set(_targets(command.words[1:])) <= TARGETS
    makefile = (ROOT / "Makefile").read_text()
    for name in re.findall(r"(?:^| )([A-Z]+)=", " ".join(command.words)):
        assert re.search(rf"\b{name}\b", makefile)


@pytest.mark.parametrize("command", starting("pip", "install"), ids=str)
def test_pip_installs_what_there_is(command: Command) -> None:
    for word in command.words[2:]:
        if "dist/*.whl" in word:  # what `uv build --wheel` has made; tests/wheel installs it
            extras = re.findall(r"\[(\w+)\]", word)
        else:
            requirement = Requirement(word)
            extras = sorted(requirement.extras) if requirement.name == "wattmesh" else []
        assert set(extras) <= set(PROJECT["optional-dependencies"])


def test_the_clone_is_of_the_projects_repository() -> None:
    assert {command.words[2] for command in starting("git", "clone")} == {PROJECT["urls"]["Repository"]}


@pytest.mark.parametrize("command", starting("kubectl"), ids=str)
def test_kubectl_names_resources_that_there_are(command: Command) -> None:
    """Its options are parsed by kubectl itself: test_cluster_commands.py."""
    words = _without_options(command.words[1:])
    assert words[0] in KUBECTL
    kinds = {name for crd in CRDS.values() for name in _names(crd)} | OF_KUBERNETES
    named = {one["metadata"]["name"] for one in yaml.safe_load_all((ROOT / "examples" / "street.yaml").read_text())}
    first = 2 if words[0] == "create" else 1
    for word in words[first : first + 1]:
        kind, _, name = word.partition("/")
        if words[0] not in ("apply", "create", "logs", "port-forward") or "/" in word:
            assert kind.partition(".")[0] in kinds, command
        if kind.partition(".")[0] in kinds - OF_KUBERNETES and name:
            assert name in named, command
    for name, file in zip(command.words, command.words[1:], strict=False):
        if name == "-f" and words[0] == "apply":
            assert file in MADE or (ROOT / file).is_file(), command
    for path in re.findall(r"jsonpath='?\{\.status\.(\w+)\}", " ".join(command.words)):
        assert all(path in _status(crd) for crd in CRDS.values() if crd["spec"]["names"]["kind"] == "SolarAgent")


def _without_options(words: list[str]) -> list[str]:
    """Without options and the values of those that take one as the next word."""
    kept, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word.startswith("-"):
            skip = word in (
                "-n",
                "-f",
                "-l",
                "-o",
                "--context",
                "--namespace",
                "--max-log-requests",
                "--field-selector",
                "--from-file",
            )
        else:
            kept.append(word)
    return kept


def _names(crd: Json) -> Iterator[str]:
    names = crd["spec"]["names"]
    yield from (names["plural"], names["singular"], *names["shortNames"], *names["categories"])


def _status(crd: Json) -> Json:
    properties: Json = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
    return properties


@pytest.mark.parametrize("command", starting("docker", "run"), ids=str)
def test_what_is_run_in_an_image_is_a_command_of_ours(command: Command) -> None:
    first = command.words.index("wattmesh")
    assert re.fullmatch(r"wattmesh/\w+:VERSION", command.words[first - 1])
    _parse(command.words[first + 1 :])


@pytest.mark.parametrize("command", starting("docker", "push"), ids=str)
def test_images_are_pushed_as_they_are_built(command: Command) -> None:
    [image] = command.words[2:]
    assert re.fullmatch(rf"registry\.example/wattmesh/(operator|runtime):{re.escape(PROJECT['version'])}", image)


@pytest.mark.parametrize("words", REASONS, ids=" ".join)
def test_what_is_not_run_here_is_still_there(words: tuple[str, ...]) -> None:
    assert [command for command in COMMANDS if reason(command) == words]


def test_programs_are_run_by_their_own_parser() -> None:
    """Those that take long: with a word more that no parser takes, each refuses that word and no other."""
    for command in COMMANDS:
        if command.words[0] == "python" and reason(command):
            made = subprocess.run(
                [sys.executable, *command.words[1:], "--no-such-option"],
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=120,
            )
            assert made.stderr.endswith("error: unrecognized arguments: --no-such-option\n"), made.stderr


def test_every_shell_block_has_a_command() -> None:
    for block in of(*SHELL):
        assert [command for command in commands(block.page) if command.block == block], block.where
