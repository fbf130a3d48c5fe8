"""Files of manifests → resources, or every mistake in all of them."""

from wattmesh_operator.manifests.loading import load

__all__ = ["load"]
