"""Hypothesis for all tests: the same examples on every run, and no limit of time on any of them."""

from hypothesis import settings

settings.register_profile("wattmesh", deadline=None, derandomize=True, database=None)
settings.load_profile("wattmesh")
