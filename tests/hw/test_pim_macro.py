"""The macro against its golden model: all pairs of narrow operands, random wide and mixed ones, stalls, cycles."""

from itertools import product

import numpy as np
import pytest
from amaranth.hdl import Value
from amaranth.sim import SimulatorContext

from actcodec.pim.codes import as_integers
from actcodec.pim.cycles import completion_cycles, vector_cycles
from actcodec.pim.params import WIDTHS, PimMode, PimParams
from actcodec_rtl.pim.counters import ColumnCounters
from actcodec_rtl.pim.macro import PimMacro
from support.pim import MODES, TINY, Block, all_pairs, random_block, random_codes, run_macro, run_vectors
from support.streams import Bench, Sink, Source, simulate


@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize("signs", list(product((True, False), repeat=2)), ids=str)
def test_all_pairs_of_narrow_operands(bits: int, signs: tuple[bool, bool]) -> None:
    mode = PimMode(bits, bits, *signs)
    block = all_pairs(TINY, mode)
    seen = {(int(x), int(w)) for vector in block.vectors for row, x in enumerate(vector) for w in block.weights[row]}
    assert len(seen) == 4**bits
    assert run_macro(TINY, [block]).beats == [block.expected(TINY)]


@pytest.mark.parametrize("stalls", [(0.4, 0.0), (0.2, 0.6)])
def test_every_mode_after_every_other_on_random_operands(stalls: tuple[float, float]) -> None:
    rng = np.random.default_rng(1)
    order = rng.permutation(len(MODES))
    blocks = [random_block(rng, TINY, MODES[n], 3) for n in order]
    assert run_macro(TINY, blocks, stalls).beats == [block.expected(TINY) for block in blocks]


@pytest.mark.parametrize(
    ("params", "vectors"),
    [(TINY, 1), (TINY, 4), (PimParams(rows=16, columns=64), 4), (PimParams(rows=32, columns=64, trees=2), 3)],
    ids=str,
)
def test_cycles_of_every_width_are_those_of_the_formula(params: PimParams, vectors: int) -> None:
    rng = np.random.default_rng(2)
    modes = [PimMode(weights, inputs) for weights, inputs in zip(WIDTHS, reversed(WIDTHS), strict=True)]
    blocks = [random_block(rng, params, mode, vectors) for mode in modes]
    cycles = run_macro(params, blocks).cycles
    assert cycles == [vector_cycles(params, mode, vectors) for mode in modes]
    assert cycles == [completion_cycles(params, [mode] * vectors)[-1] + 1 for mode in modes]


@pytest.mark.parametrize("params", [TINY, PimParams(rows=16, columns=128)], ids=str)
def test_a_mix_of_modes_without_a_pause_takes_the_predicted_cycles(params: PimParams) -> None:
    """Widths and signs of the inputs change from vector to vector, and nothing waits for it."""
    rng = np.random.default_rng(3)
    (weights,) = (random_block(rng, params, PimMode(4, 4), 1).weights,)
    modes = [
        PimMode(4, WIDTHS[n], True, bool(sign)) for n, sign in zip(*rng.integers(0, (4, 2), (12, 2)).T, strict=True)
    ]
    blocks = [
        Block(mode, weights, random_codes(rng, mode.input_bits, mode.input_signed, (1, params.rows))) for mode in modes
    ]
    found = run_vectors(params, blocks)
    assert found.beats == [block.expected(params) for block in blocks]
    assert found.cycles == completion_cycles(params, modes)


def test_weights_wait_for_the_vector_in_the_array_and_hold_the_next_one_off() -> None:
    rng = np.random.default_rng(4)
    mode = PimMode(4, 8, True, True)
    before, after = (random_block(rng, TINY, mode, 1) for _ in range(2))
    dut = PimMacro(TINY)

    async def testbench(ctx: SimulatorContext) -> None:
        rows = Source(dut.weights, before.weight_stream(TINY))
        bench = Bench(ctx, rows)
        await bench.until(lambda: rows.done)
        words, sink = Source(dut.i, before.input_stream(TINY) + after.input_stream(TINY)), Sink(dut.o)
        bench = Bench(ctx, words, sink, Source(dut.weights, []))
        await bench.step(mode.input_bits + 2)
        assert ctx.get(dut.busy) and not ctx.get(dut.weights.ready)
        rows = Source(dut.weights, after.weight_stream(TINY))
        bench = Bench(ctx, words, sink, rows)
        await bench.until(lambda: len(sink.taken) == 2)
        assert sink.taken == before.expected(TINY) + after.expected(TINY)
        assert rows.done

    simulate(dut, testbench)


@pytest.mark.parametrize("wrong", [[False] * 4, [True] * 4], ids=["never", "always"])
def test_a_wrong_sign_slice_is_found(wrong: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    """With the top slice of signed weights added, or every upper column of a pair subtracted, outputs differ."""
    places = iter(wrong * 16)
    monkeypatch.setattr("actcodec_rtl.pim.shift_add.is_top", lambda column, bits: next(places))
    block = random_block(np.random.default_rng(5), TINY, PimMode(4, 4), 2)
    assert run_macro(TINY, [block]).beats != [block.expected(TINY)]


def test_an_input_sign_that_is_ignored_is_found() -> None:
    block = random_block(np.random.default_rng(6), TINY, PimMode(4, 4, True, True), 2)
    ignored = Block(PimMode(4, 4, True, False), block.weights, block.vectors & 15)
    assert run_macro(TINY, [ignored]).beats != [block.expected(TINY)]


@pytest.mark.parametrize("rows", [16, 48, 64])
def test_counters_count(rows: int) -> None:
    params = PimParams(rows=rows, columns=32)
    dut = ColumnCounters(params)
    rng = np.random.default_rng(7)

    async def testbench(ctx: SimulatorContext) -> None:
        for share in (0.0, 0.2, 0.5, 0.9, 1.0):
            products = (rng.random((rows, params.columns)) < share).astype(np.uint8)
            ctx.set(Value.cast(dut.products), sum(row << n * 32 for n, row in enumerate(as_integers(products))))
            ctx.set(dut.en, 1)
            await ctx.tick()
            ctx.set(dut.en, 0)
            await ctx.tick()
            planes = [ctx.get(dut.counts[k]) for k in range(params.count_bits)]
            counts = [sum((plane >> column & 1) << k for k, plane in enumerate(planes)) for column in range(32)]
            assert counts == products.sum(axis=0).tolist()

    simulate(dut, testbench)
