"""Rounding of a plan's numbers to the integers of the tables."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from actcodec.errors import ActcodecError

TOP = 127
"""Largest entry of a matrix, of either sign."""


def whole(site: str, field: str, value: NDArray[np.float64], top: int) -> NDArray[np.float64]:
    """Round to integers; ActcodecError names ``site`` and ``field`` where one is beyond ±top."""
    rounded = np.rint(value)
    if rounded.size and np.abs(rounded).max() > top:
        worst = float(rounded.flat[np.abs(rounded).argmax()])
        raise ActcodecError(f"site {site}", f"{field} reaches {worst:g}, beyond ±{top}")
    return rounded
