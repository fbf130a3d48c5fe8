"""How a market clears what many report for the same slot: pure, one small file for each mechanism."""
