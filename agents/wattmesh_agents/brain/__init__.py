"""The LangGraph brain: what to do next in a transaction."""
