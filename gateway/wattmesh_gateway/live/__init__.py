"""The live page: what pods tell of themselves, merged, and shown to whoever looks."""
