"""A street on one machine: the gateway and the agents of a set of manifests, over loopback HTTP or in memory."""
