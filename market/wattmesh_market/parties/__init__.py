"""Households and utilities: what they are, where they stand, and what each event does to them."""
