"""The market: energy, contracts, parties and their rules. Standard library only; no I/O, SQL or event loop."""
