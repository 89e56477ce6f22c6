"""Rounding and saturation of format v1 in hardware: the counterpart of `actcodec.fixedpoint`."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib.wiring import In, Out

from actcodec.params import ACTIVATION_BITS, MAX_WIDTH, SHIFT_BITS, WIDTH_BITS
from actcodec_rtl.component import Block
from actcodec_rtl.placing import ones_above


def _shifted(m: Module, value: Value, shift: Value, keep: int) -> tuple[Value, Value]:
    """The lowest ``keep`` bits of ``value >> shift``, and whether a bit above them is set; ``value`` is unsigned.

    Large shifts first: whatever no later shift brings down to the kept bits is looked at and dropped at once.
    """
    above: list[Value] = []
    for level in reversed(range(SHIFT_BITS)):
        step, reach = 1 << level, keep + (1 << level) - 1
        moved = Signal(min(len(value), reach), name=f"shifted_{level}")
        m.d.comb += moved.eq(Mux(shift[level], value >> step, value))
        # Bits that stay above the reach, shifted or not.
        if len(value) > reach:
            above.append(value[reach : reach + step].any() & ~shift[level])
        if len(value) > reach + step:
            above.append(value[reach + step :].any())
        value = moved
    return value, Cat(above).any()


class CodeRequantizer(Block):
    """``code = clamp(round_shift(acc, shift), 0, 2^width − 1)``, combinational.

    Halves are rounded by the last bit that is shifted out: ``(acc >> s) + bit s−1 of acc`` is the same number as
    ``(acc + 2^(s−1)) >> s`` for every s and needs no rounding constant.

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
        magnitude = self.acc.as_unsigned()[:-1]
        # One bit below the unit: what is rounded by.
        kept, above = _shifted(m, Cat(0, magnitude), self.shift, MAX_WIDTH + 1)
        rounded = Signal(MAX_WIDTH + 1)
        outside = Signal(MAX_WIDTH)
        over = Signal()
        m.d.comb += [
            rounded.eq(kept[1:] + kept[0]),
            outside.eq(ones_above(self.width)),
            # The largest code is all ones: a bit outside its width is a number above it.
            over.eq(above | rounded[MAX_WIDTH] | (rounded[:MAX_WIDTH] & outside).any()),
            self.code.eq(
                (rounded[:MAX_WIDTH] | over.replicate(MAX_WIDTH)) & ~(outside | self.acc[-1].replicate(MAX_WIDTH))
            ),
        ]
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
        negative = self.acc[-1]
        # As one's complement the bits above a small number are all zero; what is kept is turned back.
        folded = Signal(len(self.acc) - 1)
        m.d.comb += folded.eq(self.acc.as_unsigned()[:-1] ^ negative.replicate(len(folded)))
        kept, above = _shifted(m, Cat(negative, folded), self.shift, ACTIVATION_BITS + 1)
        turned = Signal(ACTIVATION_BITS + 1)
        moved = Signal(signed(ACTIVATION_BITS + 3))
        m.d.comb += [
            turned.eq(kept ^ negative.replicate(len(turned))),
            moved.eq(Cat(turned[1:], negative).as_signed() + turned[0] + self.zero),
        ]
        with m.If(Mux(above, negative, moved < self.low)):
            m.d.comb += self.value.eq(self.low)
        with m.Elif(above | (moved > self.high)):
            m.d.comb += self.value.eq(self.high)
        with m.Else():
            m.d.comb += self.value.eq(moved)
        return m
