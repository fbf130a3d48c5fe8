"""The wattmesh agent runtime: server, brain, battery and ledger of a household or utility."""
