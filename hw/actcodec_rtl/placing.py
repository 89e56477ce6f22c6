"""Codes of any width side by side: joined into one vector by a tree of shifters, and cut out of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Const, Module, Mux, Signal, Value

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
    return join_two(m, low, high, name)


def join_two(m: Module, low: Joined, high: Joined, name: str) -> Joined:
    """``high`` behind ``low``: a node of the tree, for those who register what is below it."""
    slots = low.slots + high.slots
    bits = Signal(slots * MAX_WIDTH, name=f"{name}_bits")
    count = Signal(range(slots * MAX_WIDTH + 1), name=f"{name}_count")
    m.d.comb += [bits.eq(low.bits | (high.bits << low.count)), count.eq(low.count + high.count)]
    return Joined(bits, count, slots)


def ones_above(width: Value) -> Value:
    """The bits of a code that are not below its width."""
    return (Const((1 << MAX_WIDTH) - 1, MAX_WIDTH) << width)[:MAX_WIDTH]


def shifted_down(m: Module, value: Value, places: Value, keep: int, name: str) -> Value:
    """The lowest ``keep`` bits of ``value >> places``.

    Large shifts first: what no later shift brings down to the kept bits needs no shifter.
    """
    for level in reversed(range(len(places))):
        step = 1 << level
        moved = Signal(min(len(value), keep + step - 1), name=f"{name}_{level}")
        m.d.comb += moved.eq(Mux(places[level], value[step:], value))
        value = moved
    return value[:keep]


def begins(m: Module, widths: Sequence[Value], name: str = "begin") -> list[Value]:
    """Where each code begins: the sums of the widths before it, the first being 0, by a tree of adders."""
    totals: dict[tuple[int, int], Value] = {}

    def total(first: int, behind: int) -> Value:
        if behind - first == 1:
            return widths[first]
        if (first, behind) not in totals:
            half = first + (1 << (behind - first - 1).bit_length() - 1)
            sum_of = Signal(range((behind - first) * MAX_WIDTH + 1), name=f"{name}_{first}_{behind}")
            m.d.comb += sum_of.eq(total(first, half) + total(half, behind))
            totals[first, behind] = sum_of
        return totals[first, behind]

    return [Const(0, 1), *(total(0, code) for code in range(1, len(widths)))]


def split(m: Module, bits: Value, begin: Sequence[Value], widths: Sequence[Value], name: str = "split") -> list[Value]:
    """The codes that lie in ``bits`` from ``begin`` on, each with what follows it above its width cut off."""
    codes: list[Value] = []
    for number, (place, width) in enumerate(zip(begin, widths, strict=True)):
        code = Signal(MAX_WIDTH, name=f"{name}_{number}")
        # Codes before this one take at most 8 bits each.
        reached = bits[: (number + 1) * MAX_WIDTH]
        cut = shifted_down(m, reached, place, MAX_WIDTH, f"{name}_{number}_cut") if number else reached
        m.d.comb += code.eq(cut & ~ones_above(width))
        codes.append(code)
    return codes
