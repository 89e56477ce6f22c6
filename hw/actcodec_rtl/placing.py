"""Codes of any width side by side: joined into one vector, and cut out of one, by a tree of shifters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Const, Module, Signal, Value

from actcodec.params import MAX_WIDTH


@dataclass(frozen=True)
class Joined:
    """Codes without gaps, the first one least significant: ``bits``, of which ``count`` are taken."""

    bits: Value
    count: Value
    slots: int


def join(m: Module, codes: Sequence[Value], widths: Sequence[Value], name: str = "join") -> Joined:
    """Codes (each below 2^width) one behind another.

    Pairs are joined, then pairs of pairs: half of the shifter bits that placing every code by itself takes.
    """
    if len(codes) == 1:
        return Joined(codes[0], widths[0], 1)
    half = (len(codes) + 1) // 2
    low = join(m, codes[:half], widths[:half], f"{name}_low")
    high = join(m, codes[half:], widths[half:], f"{name}_high")
    slots = low.slots + high.slots
    bits = Signal(slots * MAX_WIDTH, name=f"{name}_bits")
    count = Signal(range(slots * MAX_WIDTH + 1), name=f"{name}_count")
    m.d.comb += [bits.eq(low.bits | (high.bits << low.count)), count.eq(low.count + high.count)]
    return Joined(bits, count, slots)


def ones_above(width: Value) -> Value:
    """The bits of a code that are not below its width."""
    return (Const((1 << MAX_WIDTH) - 1, MAX_WIDTH) << width)[:MAX_WIDTH]


def _total(m: Module, widths: Sequence[Value], name: str) -> Value:
    if len(widths) == 1:
        return widths[0]
    half = (len(widths) + 1) // 2
    total = Signal(range(len(widths) * MAX_WIDTH + 1), name=name)
    m.d.comb += total.eq(_total(m, widths[:half], f"{name}_low") + _total(m, widths[half:], f"{name}_high"))
    return total


def split(m: Module, bits: Value, widths: Sequence[Value], name: str = "split") -> list[Value]:
    """The codes that lie one behind another in ``bits``; each with what follows it above its width cut off."""
    if len(widths) == 1:
        code = Signal(MAX_WIDTH, name=f"{name}_code")
        m.d.comb += code.eq(bits[:MAX_WIDTH] & ~ones_above(widths[0]))
        return [code]
    half = (len(widths) + 1) // 2
    rest = Signal((len(widths) - half) * MAX_WIDTH, name=f"{name}_rest")
    m.d.comb += rest.eq(bits >> _total(m, widths[:half], f"{name}_place"))
    low = split(m, bits[: half * MAX_WIDTH], widths[:half], f"{name}_low")
    return low + split(m, rest, widths[half:], f"{name}_high")
