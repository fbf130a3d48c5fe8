"""The Cluster port: what the operator asks of a Kubernetes API server, for real and in memory."""
