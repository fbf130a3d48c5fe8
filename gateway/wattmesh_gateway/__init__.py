"""The wattmesh gateway: registry, lookup and search broadcast."""
