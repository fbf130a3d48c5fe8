"""What wattmesh costs on this machine: numbers for docs/benchmarks.md. Nothing here is asserted."""
