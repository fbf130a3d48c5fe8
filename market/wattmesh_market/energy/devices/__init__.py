"""Devices whose use can be moved in time: what they need, when they may run, and what they were given."""
