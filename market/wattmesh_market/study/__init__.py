"""A market as a study: the same parties and rules, run slot by slot with calls instead of messages."""
