"""The CustomResourceDefinitions that the models give; `python -m wattmesh_operator.crd` writes them as files."""

from wattmesh_operator.crd.definition import custom_resource_definitions
from wattmesh_operator.crd.files import crd_files

__all__ = ["crd_files", "custom_resource_definitions"]
