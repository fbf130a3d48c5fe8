"""One SQLite database per runtime: contracts, readings, ledger, messages, timers and graph checkpoints."""
