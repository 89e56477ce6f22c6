"""A unit's output cut into stripes of rows and parts of the columns: what each tile reads of the inputs.

It does not depend on the codec, on what stays on the chip or on the loop order, so that it is worked out once.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

from actcodec.graph import Tensor
from actcodec_sim.accelerator.unit import Unit


class Access(NamedTuple):
    """Rows and columns of a tensor that are read; ``held`` is the last row read before, where it is still there."""

    rows: range
    columns: range
    held: range = range(0)


class Cut:
    """``unit`` in tiles of ``rows`` × ``columns`` positions, columns first.

    ``keep_halo``: rows that the next stripe needs again stay on the chip, where a tile has the whole width.
    """

    def __init__(self, unit: Unit, rows: int, columns: int, keep_halo: bool) -> None:
        self.unit = unit
        self.stripes = parts(unit.output.height, rows)
        self.column_parts = parts(unit.output.width, columns)
        self.rings = keep_halo and len(self.column_parts) == 1
        self._windows: dict[str, list[Access]] = {}
        self._accesses: dict[tuple[str, bool], list[Access]] = {}
        self._positions: dict[str, tuple[int, int]] = {}

    def windows(self, tensor: Tensor) -> list[Access]:
        """What each tile needs of an input, tile by tile."""
        if tensor.name not in self._windows:
            self._windows[tensor.name] = [
                Access(*self.unit.window(tensor, stripe, part)) for stripe in self.stripes for part in self.column_parts
            ]
        return self._windows[tensor.name]

    def accesses(self, tensor: Tensor, stays: bool) -> list[Access]:
        """What each tile of one pass over the positions reads; an input that ``stays`` is read once, in whole rows."""
        key = tensor.name, stays
        if key not in self._accesses:
            self._accesses[key] = self._found(tensor, stays)
        return self._accesses[key]

    def _found(self, tensor: Tensor, stays: bool) -> list[Access]:
        if not stays and not self.rings:
            return self.windows(tensor)
        found, held, width = [], range(0), range(self.unit.output.width)
        for stripe in self.stripes:
            for number in range(len(self.column_parts)):
                rows, columns = self.unit.window(tensor, stripe, width)
                rows = _from(rows, held.stop) if number == 0 else range(0)
                found.append(Access(rows, columns, held))
                held = rows[-1:] if rows else held
        return found

    def positions(self, tensor: Tensor) -> tuple[int, int]:
        """Positions of the largest window, and of the largest part of one that the window before does not have."""
        if tensor.name not in self._positions:
            new = self.accesses(tensor, False)[1:]
            self._positions[tensor.name] = _largest(self.windows(tensor)), _largest(new)
        return self._positions[tensor.name]

    @cached_property
    def inside_rows(self) -> tuple[int, ...]:
        """Rows of each tensor inside the unit that a stripe needs at most, halo included."""
        made = [self.unit.made_rows(stripe) for stripe in self.stripes]
        return tuple(max(len(rows[number]) for rows in made) for number in range(len(self.unit.inside)))


class Cuts:
    """Cuts of units that were asked for before."""

    def __init__(self, keep_halo: bool) -> None:
        self._keep_halo = keep_halo
        self._known: dict[tuple[Unit, int, int], Cut] = {}

    def __call__(self, unit: Unit, rows: int, columns: int) -> Cut:
        """The cut of ``unit`` in tiles of ``rows`` × ``columns``."""
        key = unit, rows, columns
        if key not in self._known:
            self._known[key] = Cut(unit, rows, columns, self._keep_halo)
        return self._known[key]


def parts(size: int, part: int) -> tuple[range, ...]:
    """0…size − 1 in pieces of ``part``, the last one smaller."""
    return tuple(range(first, min(size, first + part)) for first in range(0, size, part))


def _largest(accesses: list[Access]) -> int:
    return max((len(access.rows) * len(access.columns) for access in accesses), default=0)


def _from(rows: range, first: int) -> range:
    """The rows of ``rows`` from ``first`` on."""
    return rows if rows.start >= first else rows[-(-(first - rows.start) // rows.step) :]
