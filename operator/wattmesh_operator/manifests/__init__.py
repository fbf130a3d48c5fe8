"""Manifests → resources, or every mistake in all of them; resources → what a manifest says, and with other values."""

from wattmesh_operator.manifests.loading import Source, load
from wattmesh_operator.manifests.setting import parsed_value, values_of, with_values
from wattmesh_operator.manifests.writing import as_document, as_yaml

__all__ = ["Source", "as_document", "as_yaml", "load", "parsed_value", "values_of", "with_values"]
