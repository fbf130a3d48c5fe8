"""A linear program over slots, put together by name of column and solved by HiGHS.

J. Hall, Q. Huangfu: *Parallelizing the dual revised simplex method*. Mathematical Programming Computation 10 (2018)
119–142: HiGHS, as `scipy.optimize.milp` calls it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

Values: TypeAlias = NDArray[np.float64]
Columns: TypeAlias = NDArray[np.int64]
"""Indices of variables, one for each slot."""
Term: TypeAlias = tuple[Columns, ArrayLike]
"""Variables and their coefficients."""


class Unsolved(Exception):
    """HiGHS gives no optimum. The message is its own."""


@dataclass
class Program:
    """Variables and constraints, each for all slots at once."""

    slots: int
    _lower: list[Values] = field(default_factory=list)
    _upper: list[Values] = field(default_factory=list)
    _cost: list[Values] = field(default_factory=list)
    _rows: list[tuple[Columns, Columns, Values]] = field(default_factory=list)
    _row_lower: list[Values] = field(default_factory=list)
    _row_upper: list[Values] = field(default_factory=list)

    def variable(self, lower: ArrayLike = 0.0, upper: ArrayLike = np.inf, cost: ArrayLike = 0.0) -> Columns:
        """A variable for each slot, with its bounds and what a unit of it costs (numbers, or one for each slot)."""
        first = self.slots * len(self._lower)
        for into, values in ((self._lower, lower), (self._upper, upper), (self._cost, cost)):
            into.append(self._each(values))
        return np.arange(first, first + self.slots)

    def constrain(self, terms: list[Term], lower: ArrayLike = 0.0, upper: ArrayLike = 0.0) -> None:
        """In each slot the sum of `terms` (a variable's columns and its coefficients) lies from `lower` to `upper`.

        A column of −1 stands for no variable.
        """
        rows = np.arange(self.slots) + self.slots * len(self._row_lower)
        for columns, coefficients in terms:
            there = columns >= 0
            self._rows.append((rows[there], columns[there], self._each(coefficients)[there]))
        self._row_lower.append(self._each(lower))
        self._row_upper.append(self._each(upper))

    def cost(self, variable: Columns) -> Values:
        """What a unit of a variable costs in each slot."""
        return self._cost[int(variable[0]) // self.slots]

    def solve(self) -> Values:
        """The cheapest values of all variables; Unsolved."""
        rows, columns, coefficients = (np.concatenate(parts) for parts in zip(*self._rows, strict=True))
        shape = (self.slots * len(self._row_lower), self.slots * len(self._lower))
        found = milp(  # with no whole numbers in it: `linprog` knows no constraints with two bounds
            np.concatenate(self._cost),
            bounds=Bounds(np.concatenate(self._lower), np.concatenate(self._upper)),
            constraints=LinearConstraint(
                coo_array((coefficients, (rows, columns)), shape=shape).tocsr(),
                np.concatenate(self._row_lower),
                np.concatenate(self._row_upper),
            ),
        )
        if found.x is None:
            raise Unsolved(f"HiGHS: {found.message}")
        return np.asarray(found.x, dtype=np.float64)

    def _each(self, values: ArrayLike) -> Values:
        return np.broadcast_to(np.asarray(values, dtype=np.float64), (self.slots,))
