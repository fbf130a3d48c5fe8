"""Profiles from what the field uses: pvlib for the sun, demandlib's BDEW profiles for consumption, weather files.

Needs the extra `wattmesh[field]`. Only the command `wattmesh profiles` imports this package, and it does so late.
"""
