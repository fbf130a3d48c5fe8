"""Meter files as people have them: CSV of other systems → PV and load of 15 minutes in whole Wh."""
