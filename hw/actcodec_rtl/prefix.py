"""Where the codes of a step lie in their chunk."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Const, Module, Signal, Value

from actcodec.params import MAX_WIDTH


def offsets(m: Module, widths: Sequence[Value], name: str) -> list[Value]:
    """``offsets[r] = Σ_{i<r} widths[i]`` for r = 0…len(widths), combinational; the last one is the chunk's size."""
    places: list[Value] = [Const(0, 1)]
    for r, width in enumerate(widths):
        place = Signal(range((r + 1) * MAX_WIDTH + 1), name=f"{name}_{r + 1}")
        m.d.comb += place.eq(places[r] + width)
        places.append(place)
    return places
