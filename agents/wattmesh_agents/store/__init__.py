"""One SQLite database per runtime: contracts, readings, ledger and messages."""
