"""Rounding and saturation of format v1 in hardware: the counterpart of `actcodec.fixedpoint`."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib.wiring import In, Out

from actcodec.params import ACTIVATION_BITS, MAX_WIDTH, SHIFT_BITS, WIDTH_BITS
from actcodec_rtl.component import Block


def round_shift(m: Module, acc: Value, shift: Value) -> Signal:
    """``(acc + (1 << (shift − 1))) >> shift`` for shift > 0, ``acc`` for shift = 0; one bit wider than ``acc``.

    Computed as ``(acc >> shift) + bit shift−1 of acc``, which is the same number for every shift and needs no
    rounding constant: halves are rounded by the last bit that is shifted out.
    """
    width = len(acc)
    doubled = Signal(signed(width + 1))
    shifted = Signal(signed(width + 1))
    rounded = Signal(signed(width + 1))
    m.d.comb += [
        doubled.eq(Cat(Const(0, 1), acc)),
        shifted.eq(doubled >> shift),
        rounded.eq((shifted >> 1) + shifted[0]),
    ]
    return rounded


class CodeRequantizer(Block):
    """``code = clamp(round_shift(acc, shift), 0, 2^width − 1)``, combinational.

    Ports: ``acc`` signed (acc_bits), ``shift`` 0…31, ``width`` 0…8, ``code`` unsigned 8 bits.
    """

    def __init__(self, acc_bits: int) -> None:
        super().__init__(
            {
                "acc": In(signed(acc_bits)),
                "shift": In(unsigned(SHIFT_BITS)),
                "width": In(unsigned(WIDTH_BITS)),
                "code": Out(unsigned(MAX_WIDTH)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shifted = round_shift(m, self.acc, self.shift)
        limit = Signal(MAX_WIDTH)
        m.d.comb += limit.eq((Const(1, MAX_WIDTH + 1) << self.width) - 1)
        m.d.comb += self.code.eq(Mux(shifted < 0, 0, Mux(shifted > limit, limit, shifted)))
        return m


class ActivationRequantizer(Block):
    """``x̂ = clamp(round_shift(acc, shift) + zero, low, high)``, combinational.

    Ports: ``acc`` signed (acc_bits), ``shift`` 0…31, ``zero``, ``low``, ``high``, ``value`` unsigned 8 bits.
    """

    def __init__(self, acc_bits: int) -> None:
        super().__init__(
            {
                "acc": In(signed(acc_bits)),
                "shift": In(unsigned(SHIFT_BITS)),
                "zero": In(unsigned(ACTIVATION_BITS)),
                "low": In(unsigned(ACTIVATION_BITS)),
                "high": In(unsigned(ACTIVATION_BITS)),
                "value": Out(unsigned(ACTIVATION_BITS)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shifted = round_shift(m, self.acc, self.shift)
        moved = Signal(signed(len(shifted) + 1))
        m.d.comb += moved.eq(shifted + self.zero)
        m.d.comb += self.value.eq(Mux(moved < self.low, self.low, Mux(moved > self.high, self.high, moved)))
        return m
