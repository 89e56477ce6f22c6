"""The controller's input: transactions in program order, cut into phases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from actcodec.errors import ActcodecError
from actcodec_sim.arrays import BoolArray, Int64Array


@dataclass(frozen=True, eq=False)
class Requests:
    """One entry a transaction, in the order in which they are offered to the controller.

    ``address``   byte address, aligned to a transaction
    ``is_write``  True for a write
    ``earliest``  first cycle at which the request may be offered, counted from the start of its phase
    ``phase``     never falls; a phase starts when the last data beat of the phase before it is done

    Raises ActcodecError where the arrays differ in length, a cycle is negative or a phase number falls.
    """

    address: Int64Array
    is_write: BoolArray
    earliest: Int64Array
    phase: Int64Array

    def __post_init__(self) -> None:
        lengths = {len(self.address), len(self.is_write), len(self.earliest), len(self.phase)}
        if len(lengths) != 1:
            raise ActcodecError("requests", f"the arrays differ in length: {sorted(lengths)}")
        if (self.earliest < 0).any():
            raise ActcodecError("requests", f"earliest: {int(self.earliest.min())} is negative")
        if (np.diff(self.phase) < 0).any():
            raise ActcodecError("requests", "phase: the phase numbers fall")

    def __len__(self) -> int:
        return len(self.address)


def single_phase(address: npt.ArrayLike, is_write: npt.ArrayLike, earliest: npt.ArrayLike | None = None) -> Requests:
    """Requests of one phase; offered from cycle 0 on where ``earliest`` is not given."""
    addresses = np.asarray(address, np.int64)
    writes = np.asarray(is_write, np.bool_)
    zeros = np.zeros(len(addresses), np.int64)
    return Requests(addresses, writes, zeros if earliest is None else np.asarray(earliest, np.int64), zeros.copy())
