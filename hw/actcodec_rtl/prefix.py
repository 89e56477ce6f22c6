"""Where the codes of a step lie in their chunk."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Module, Signal, Value

from actcodec.params import MAX_WIDTH


def offsets(m: Module, widths: Sequence[Value], name: str) -> list[Signal]:
    """``offsets[r] = Σ_{i<r} widths[i]`` for r = 0…len(widths), combinational; the last one is the chunk's size."""
    places = [Signal(range(r * MAX_WIDTH + 1), name=f"{name}_{r}") for r in range(len(widths) + 1)]
    for r, width in enumerate(widths):
        m.d.comb += places[r + 1].eq(places[r] + width)
    return places
