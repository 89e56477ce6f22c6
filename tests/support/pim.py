"""Running the process-in-memory macro in Amaranth's simulator, and modes and operands to run it on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, product

import numpy as np
from amaranth.sim import SimulatorContext
from numpy.typing import NDArray

from actcodec.pim.codes import code_range
from actcodec.pim.params import WIDTHS, PimMode, PimParams
from actcodec_rtl.pim.layouts import mode_layout, results_layout, weights_layout, word_layout
from actcodec_rtl.pim.macro import PimMacro
from actcodec_sim.pim.batch import Batch, mode_fields
from support.streams import Bench, Sink, Source, pack_fields, simulate

TINY = PimParams(rows=16, columns=16)
MODES = [PimMode(*mode) for mode in product(WIDTHS, WIDTHS, (True, False), (True, False))]


def mode_bits(mode: PimMode) -> int:
    """The mode as a port has it."""
    return pack_fields(mode_layout(), **mode_fields(mode))


def random_codes(rng: np.random.Generator, bits: int, signed: bool, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Uniform codes, the lowest and the highest among them more often than others."""
    low, high = code_range(bits, signed)
    codes = rng.integers(low, high + 1, shape)
    extreme = rng.choice([low, high, 0], shape)
    return np.where(rng.random(shape) < 0.2, extreme, codes)


class Block(Batch):
    """A batch with the payloads of the macro's streams, as Amaranth's simulator takes and gives them."""

    def expected(self, params: PimParams) -> list[int]:
        """The result stream of the golden model, ``last`` in the last beat of every vector."""
        last = pack_fields(results_layout(params), last=1)
        beats = self.beats(params)
        return [beat | (last if n % params.beats == params.beats - 1 else 0) for n, beat in enumerate(beats)]

    def input_stream(self, params: PimParams) -> list[int]:
        """The words of all vectors; ``mode`` with the first one of each only."""
        layout = word_layout(params)
        return [
            pack_fields(layout, data=word, mode=mode_bits(self.mode) if n == 0 else (1 << mode_layout().size) - 1)
            for vector in self.words(params)
            for n, word in enumerate(vector)
        ]

    def weight_stream(self, params: PimParams) -> list[int]:
        """All rows of cells."""
        return [pack_fields(weights_layout(params), row=n, data=row) for n, row in enumerate(self.rows(params))]


def all_pairs(params: PimParams, mode: PimMode, rows: int | None = None) -> Block:
    """Every weight code times every input code, as outputs of one product each.

    A vector has an input in one of ``rows`` rows (None: all) and 0 elsewhere; the rows' weights go through all codes.
    """
    low, high = code_range(mode.weight_bits, mode.weight_signed)
    codes = np.arange(low, high + 1)
    outputs, rows = params.outputs(mode.weight_bits), rows or params.rows
    low, high = code_range(mode.input_bits, mode.input_signed)
    inputs, row = np.arange(low, high + 1), np.arange(rows)
    weights = codes[(row[:, None] * outputs + np.arange(outputs)) % len(codes)]
    vectors = np.zeros((rows, len(inputs), rows), np.int64)
    vectors[row, :, row] = inputs
    return Block(mode, weights, vectors.reshape(-1, rows))


def random_block(rng: np.random.Generator, params: PimParams, mode: PimMode, vectors: int) -> Block:
    weights = random_codes(rng, mode.weight_bits, mode.weight_signed, (params.rows, params.outputs(mode.weight_bits)))
    return Block(mode, weights, random_codes(rng, mode.input_bits, mode.input_signed, (vectors, params.rows)))


@dataclass
class Run:
    """Result beats of every block, cycles from its first word to its last result, and those of the results."""

    beats: list[list[int]] = field(default_factory=list)
    cycles: list[int] = field(default_factory=list)


def run_macro(
    params: PimParams,
    blocks: Sequence[Block],
    stalls: tuple[float, float] = (0.0, 0.0),
) -> Run:
    """The blocks one after another through one macro: weights, then vectors. Checks ``busy`` and what is left over."""
    dut = PimMacro(params)
    found = Run()

    async def testbench(ctx: SimulatorContext) -> None:
        for number, block in enumerate(blocks):
            rows = Source(dut.weights, block.weight_stream(params), stalls[0], seed=number)
            idle = Source(dut.i, [])
            bench = Bench(ctx, rows, idle)
            await bench.until(lambda rows=rows: rows.done)
            words = Source(dut.i, block.input_stream(params), stalls[0], seed=number)
            sink = Sink(dut.o, stalls[1], seed=number)
            bench = Bench(ctx, Source(dut.weights, []), words, sink)
            expected = len(block.vectors) * params.beats
            assert not ctx.get(dut.busy)
            await bench.until(lambda sink=sink, expected=expected: len(sink.taken) == expected)
            found.cycles.append(sink.taken_at[-1] - words.taken_at[0] + 1)
            assert not ctx.get(dut.busy)
            await bench.step(3)
            found.beats.append(sink.taken)

    simulate(dut, testbench)
    return found


def run_vectors(params: PimParams, blocks: Sequence[Block]) -> Run:
    """The vectors of all blocks without a pause on the weights of the first; cycles: when each one's results ended."""
    dut = PimMacro(params)
    found = Run()

    async def testbench(ctx: SimulatorContext) -> None:
        rows = Source(dut.weights, blocks[0].weight_stream(params))
        bench = Bench(ctx, rows)
        await bench.until(lambda: rows.done)
        words = Source(dut.i, [word for block in blocks for word in block.input_stream(params)])
        sink = Sink(dut.o)
        bench = Bench(ctx, Source(dut.weights, []), words, sink)
        ends = list(accumulate(len(block.vectors) * params.beats for block in blocks))
        await bench.until(lambda: len(sink.taken) == ends[-1])
        found.beats = [
            sink.taken[end - len(b.vectors) * params.beats : end] for b, end in zip(blocks, ends, strict=True)
        ]
        found.cycles = [sink.taken_at[end - 1] - words.taken_at[0] for end in ends]

    simulate(dut, testbench)
    return found
