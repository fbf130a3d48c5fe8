"""One SQLite database per runtime: contracts, readings, ledger, messages and timers."""
