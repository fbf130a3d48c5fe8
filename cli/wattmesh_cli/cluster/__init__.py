"""Books of the agents' pods of a cluster: which pods there are, what each answers to `/ledger`, and kubectl to ask."""
