"""The wattmesh command line: the same manifests without Kubernetes."""
