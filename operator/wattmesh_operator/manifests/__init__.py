"""Files of manifests → resources, or every mistake in all of them; and resources → what a manifest says."""

from wattmesh_operator.manifests.loading import load
from wattmesh_operator.manifests.writing import as_document, as_yaml

__all__ = ["as_document", "as_yaml", "load"]
