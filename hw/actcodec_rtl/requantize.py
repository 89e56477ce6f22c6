"""Rounding and saturation of format v1 in hardware: the counterpart of `actcodec.fixedpoint`.

Each of the two requantizers is cut in two where the fewest bits cross: a scaler, which shifts, and a saturator, which
rounds and clamps. All four are combinational; whoever uses them registers what lies between.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib.wiring import In, Out

from actcodec.params import ACTIVATION_BITS, MAX_WIDTH, SHIFT_BITS, WIDTH_BITS
from actcodec_rtl.component import Block
from actcodec_rtl.placing import ones_above

SCALED_CODE = unsigned(MAX_WIDTH + 1)
"""A code before it is rounded: ``MAX_WIDTH`` bits and the bit below the unit, all ones for what is above them."""
SCALED_ACTIVATION = signed(ACTIVATION_BITS + 2)
"""An activation before it is rounded, with the bit below the unit, the ends of the range for what is beyond them."""
OFFSET = signed(ACTIVATION_BITS + 1)
"""A bound of the activations less their zero point."""


def _shifted(m: Module, value: Value, shift: Value, keep: int) -> Value:
    """The lowest ``keep`` bits of ``value >> shift``, all ones where a bit above them is set; ``value`` is unsigned.

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
    return value | Cat(above).any().replicate(keep)


class CodeScaler(Block):
    """``acc >> shift`` with one more bit below the unit, 0 for a negative number, all ones for a large one.

    Ports: ``acc`` signed (acc_bits), ``shift`` 0…31, ``scaled`` `SCALED_CODE`.
    """

    def __init__(self, acc_bits: int) -> None:
        super().__init__({"acc": In(signed(acc_bits)), "shift": In(unsigned(SHIFT_BITS)), "scaled": Out(SCALED_CODE)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        kept = _shifted(m, Cat(0, self.acc.as_unsigned()[:-1]), self.shift, len(self.scaled))
        m.d.comb += self.scaled.eq(kept & ~self.acc[-1].replicate(len(kept)))
        return m


class CodeSaturator(Block):
    """``code = min(round(scaled), 2^width − 1)``: with a `CodeScaler` before it clamp(round_shift(acc, shift), …).

    Halves are rounded by the last bit that is shifted out: ``(acc >> s) + bit s−1 of acc`` is the same number as
    ``(acc + 2^(s−1)) >> s`` for every s and needs no rounding constant.

    Ports: ``scaled`` `SCALED_CODE`, ``width`` 0…8, ``code`` unsigned 8 bits.
    """

    def __init__(self) -> None:
        super().__init__(
            {"scaled": In(SCALED_CODE), "width": In(unsigned(WIDTH_BITS)), "code": Out(unsigned(MAX_WIDTH))}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        rounded = Signal(MAX_WIDTH + 1)
        outside = Signal(MAX_WIDTH)
        over = Signal()
        m.d.comb += [
            rounded.eq(self.scaled[1:] + self.scaled[0]),
            outside.eq(ones_above(self.width)),
            # The largest code is all ones: a bit outside its width is a number above it.
            over.eq(rounded[MAX_WIDTH] | (rounded[:MAX_WIDTH] & outside).any()),
            self.code.eq((rounded[:MAX_WIDTH] | over.replicate(MAX_WIDTH)) & ~outside),
        ]
        return m


class ActivationScaler(Block):
    """``acc >> shift`` with one more bit below the unit, the ends of `SCALED_ACTIVATION` for what is beyond them.

    Ports: ``acc`` signed (acc_bits), ``shift`` 0…31, ``scaled`` `SCALED_ACTIVATION`.
    """

    def __init__(self, acc_bits: int) -> None:
        super().__init__(
            {"acc": In(signed(acc_bits)), "shift": In(unsigned(SHIFT_BITS)), "scaled": Out(SCALED_ACTIVATION)}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        negative = self.acc[-1]
        # As one's complement the bits above a small number are all zero; what is kept is turned back.
        folded = Signal(len(self.acc) - 1)
        m.d.comb += folded.eq(self.acc.as_unsigned()[:-1] ^ negative.replicate(len(folded)))
        kept = _shifted(m, Cat(negative, folded), self.shift, len(self.scaled) - 1)
        m.d.comb += self.scaled.eq(Cat(kept ^ negative.replicate(len(kept)), negative))
        return m


class ActivationSaturator(Block):
    """``x̂ = clamp(round(scaled) + zero, low, high)``; after an `ActivationScaler` clamp(round_shift(acc, shift) + …).

    Sum and both comparisons are made side by side, for which the bounds are given once more less the zero point. A
    number at an end of `SCALED_ACTIVATION` is beyond both bounds, whatever they are.

    Ports: ``scaled`` `SCALED_ACTIVATION`; ``zero``, ``low``, ``high`` unsigned 8 bits; ``under`` = low − zero − 1 and
    ``most`` = high − zero, `OFFSET`; ``value`` unsigned 8 bits.
    """

    def __init__(self) -> None:
        activation = unsigned(ACTIVATION_BITS)
        super().__init__(
            {
                "scaled": In(SCALED_ACTIVATION),
                **{name: In(activation) for name in ("zero", "low", "high")},
                **{name: In(OFFSET) for name in ("under", "most")},
                "value": Out(activation),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        moved = Signal(ACTIVATION_BITS)
        below, above = Signal(), Signal()
        m.d.comb += [
            moved.eq((self.scaled >> 1) + self.scaled[0] + self.zero),
            # round(v / 2) ≤ n is v < 2n + 1, so that nothing has to be rounded first.
            below.eq(self.scaled < Cat(1, self.under).as_signed()),
            above.eq(self.scaled >= Cat(1, self.most).as_signed()),
            self.value.eq(Mux(below, self.low, Mux(above, self.high, moved))),
        ]
        return m
