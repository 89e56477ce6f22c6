"""Rounding and saturation in hardware equal `actcodec.fixedpoint`, for every input of a small accumulator."""

from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Cat, Elaboratable, Module, Signal, signed
from amaranth.sim import SimulatorContext
from numpy.typing import NDArray

from actcodec.fixedpoint import requantize_activation, requantize_code
from actcodec.params import ACTIVATION_BITS, MAX_SHIFT, MAX_WIDTH, SHIFT_BITS, WIDTH_BITS
from actcodec_rtl.requantize import ActivationSaturator, ActivationScaler, CodeSaturator, CodeScaler
from support.streams import simulate

WIDTHS = np.arange(MAX_WIDTH + 1)
# (zero, low, high): ReLU, ReLU6 and no activation, the ends of each range, ranges of one value.
RANGES = [
    *((0, 0, 255), (0, 0, 1), (0, 0, 0), (255, 0, 255), (255, 255, 255), (128, 0, 255), (128, 128, 255)),
    *((77, 77, 200), (100, 50, 150), (1, 0, 254), (254, 1, 255), (127, 127, 128)),
]


class CodeRequantizer(Elaboratable):
    """Scaler and saturator of a code with nothing between them."""

    def __init__(self, acc_bits: int) -> None:
        self.scaler, self.saturator = CodeScaler(acc_bits), CodeSaturator()
        self.acc, self.shift, self.width = self.scaler.acc, self.scaler.shift, Signal(WIDTH_BITS)
        self.out = self.saturator.code

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules += [self.scaler, self.saturator]
        m.d.comb += [self.saturator.scaled.eq(self.scaler.scaled), self.saturator.width.eq(self.width)]
        return m


class ActivationRequantizer(Elaboratable):
    """Scaler and saturator of an activation with nothing between them."""

    def __init__(self, acc_bits: int) -> None:
        self.scaler, self.saturator = ActivationScaler(acc_bits), ActivationSaturator()
        self.acc, self.shift = self.scaler.acc, self.scaler.shift
        self.zero, self.low, self.high = (Signal(ACTIVATION_BITS) for _ in range(3))
        self.out = self.saturator.value

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules += [self.scaler, self.saturator]
        m.d.comb += [
            self.saturator.scaled.eq(self.scaler.scaled),
            *(getattr(self.saturator, name).eq(getattr(self, name)) for name in ("zero", "low", "high")),
            self.saturator.under.eq(self.low - self.zero - 1),
            self.saturator.most.eq(self.high - self.zero),
        ]
        return m


def outputs(units: list[Any], constants: list[dict[str, int]], acc: NDArray[Any], shift: NDArray[Any]) -> NDArray[Any]:
    """(len(acc), len(units)): what every unit, its other inputs constant, makes of each (acc, shift)."""
    m = Module()
    acc_in, shift_in = Signal(signed(len(units[0].acc))), Signal(SHIFT_BITS)
    for unit, values in zip(units, constants, strict=True):
        m.submodules += unit
        m.d.comb += [unit.acc.eq(acc_in), unit.shift.eq(shift_in)]
        m.d.comb += [getattr(unit, name).eq(value) for name, value in values.items()]
    every = Cat(unit.out for unit in units)
    out = Signal(len(every))
    m.d.comb += out.eq(every)
    found = bytearray()

    async def testbench(ctx: SimulatorContext) -> None:
        for a, s in zip(acc.tolist(), shift.tolist(), strict=True):
            ctx.set(acc_in, a)
            ctx.set(shift_in, s)
            found.extend(ctx.get(out).to_bytes(len(units), "little"))

    simulate(m, testbench, clocked=False)
    return np.frombuffer(bytes(found), dtype=np.uint8).reshape(-1, len(units))


def every_input(acc_bits: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Every accumulator with every shift; the shift changes least often, so that little is computed anew."""
    half = 1 << (acc_bits - 1)
    shift, acc = np.meshgrid(np.arange(MAX_SHIFT + 1), np.arange(-half, half), indexing="ij")
    return acc.ravel(), shift.ravel()


def hard_inputs(acc_bits: int, seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Ends of the range, neighbours of powers of two and of halves, and random numbers, with every shift."""
    rng = np.random.default_rng(seed)
    half = 1 << (acc_bits - 1)
    powers = 1 << np.arange(acc_bits - 1)
    near = np.concatenate([powers - 1, powers, powers + 1, 3 * powers // 2, half - powers])
    acc = np.concatenate([near, -near, [half - 1, -half, 0], rng.integers(-half, half, 40)])
    acc = acc[(acc >= -half) & (acc < half)]
    return np.tile(acc, MAX_SHIFT + 1), np.repeat(np.arange(MAX_SHIFT + 1), len(acc))


def code_mismatches(acc_bits: int, acc: NDArray[Any], shift: NDArray[Any]) -> NDArray[Any]:
    units = [CodeRequantizer(acc_bits) for _ in WIDTHS]
    got = outputs(units, [{"width": int(width)} for width in WIDTHS], acc, shift)
    expected = requantize_code(acc[:, None], shift[:, None], WIDTHS)
    return np.argwhere(got != expected)


def activation_mismatches(acc_bits: int, acc: NDArray[Any], shift: NDArray[Any]) -> NDArray[Any]:
    units = [ActivationRequantizer(acc_bits) for _ in RANGES]
    got = outputs(units, [{"zero": z, "low": lo, "high": hi} for z, lo, hi in RANGES], acc, shift)
    expected = np.stack([requantize_activation(acc, shift, *each) for each in RANGES], axis=1)
    return np.argwhere(got != expected)


def test_codes_are_equal_for_every_accumulator_shift_and_width() -> None:
    # 10 bits: positive accumulators beyond the widest code's 255 are among them.
    assert not code_mismatches(10, *every_input(10)).size


def test_activations_are_equal_for_every_accumulator_and_shift() -> None:
    assert not activation_mismatches(10, *every_input(10)).size


@pytest.mark.parametrize("acc_bits", [16, 24, 32])
def test_wide_accumulators_are_equal_where_it_is_hard(acc_bits: int) -> None:
    assert not code_mismatches(acc_bits, *hard_inputs(acc_bits, 1)).size
    assert not activation_mismatches(acc_bits, *hard_inputs(acc_bits, 2)).size


def test_changing_zero_low_and_high_is_followed() -> None:
    rng = np.random.default_rng(3)
    unit = ActivationRequantizer(24)

    async def testbench(ctx: SimulatorContext) -> None:
        for _ in range(2000):
            low, zero, high = sorted(int(v) for v in rng.integers(0, 256, 3))
            acc, shift = int(rng.integers(-(1 << 23), 1 << 23)) >> int(rng.integers(20)), int(rng.integers(24))
            for name, value in {"acc": acc, "shift": shift, "zero": zero, "low": low, "high": high}.items():
                ctx.set(getattr(unit, name), value)
            assert ctx.get(unit.out) == requantize_activation(acc, shift, zero, low, high)

    simulate(unit, testbench, clocked=False)
