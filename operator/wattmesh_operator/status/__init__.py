"""Status: a pure fold of what was observed. Only what a person would see as news is written."""
