"""CustomResourceDefinitions → the text of their YAML files, the same for the same models."""

from __future__ import annotations

from typing import Any

import yaml

from wattmesh_operator.crd.definition import custom_resource_definitions

_HEADER = "# Generated from the models in operator/wattmesh_operator/resources by `make crds`. Edits here are lost.\n"


class _PlainDumper(yaml.SafeDumper):
    """Without anchors: what appears twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the name and arguments are PyYAML's
        return True


def crd_files() -> dict[str, str]:
    """Name and text of each file, such as `solaragents.yaml`."""
    return {
        f"{definition['spec']['names']['plural']}.yaml": _HEADER
        + yaml.dump(definition, Dumper=_PlainDumper, sort_keys=False, allow_unicode=True, width=120)
        for definition in custom_resource_definitions()
    }
