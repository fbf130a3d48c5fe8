"""Households that leave, by scale-down or with their resource: they settle, close their accounts, and go."""
