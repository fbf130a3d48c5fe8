"""Energy as a series of whole Wh."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Series = NDArray[np.float64]


def whole_wh(energy_wh: Series) -> list[int]:
    """Each value as whole Wh, what rounding leaves over carried to the next: every partial sum is right to ½ Wh.

    `energy_wh` has values ≥ 0; so has the result.
    """
    return _steps(np.cumsum(energy_wh))


def shared_wh(total_wh: int, shares: Series) -> list[int]:
    """`total_wh` divided in the ratio of `shares` (≥ 0, not all 0), as whole Wh that sum to it exactly."""
    reached = np.cumsum(shares)
    reached = reached / reached[-1] * total_wh
    reached[-1] = total_wh
    return _steps(reached)


def _steps(reached_wh: Series) -> list[int]:
    steps: list[int] = np.diff(np.rint(reached_wh).astype(np.int64), prepend=0).tolist()
    return steps
