"""A gateway's registry: which entries it shall hold, and what is written so that it does."""
