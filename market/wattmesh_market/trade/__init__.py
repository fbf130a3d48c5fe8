"""The market's pure part: offers and their choice, contracts and their states, strategies."""
