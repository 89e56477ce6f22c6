"""The packer against strings of bits."""

import random
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib.wiring import connect
from amaranth.sim import SimulatorContext
from hypothesis import given, settings
from hypothesis import strategies as st

from actcodec.params import CodecParams, load_params
from actcodec_rtl.layouts import chunk_layout
from actcodec_rtl.packer import Packer
from actcodec_rtl.skid import SkidBuffer
from actcodec_rtl.unpacker import Unpacker
from support.bits import Chunk, chunk_payloads, completed, random_chunks, words_of
from support.frames import CONFIGS
from support.streams import Bench, Sink, Source, pack_fields, simulate

STALLS = [(0.0, 0.0), (0.5, 0.0), (0.0, 0.7), (0.4, 0.4)]
TINY = load_params("tiny")


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize(("input_stall", "output_stall"), STALLS)
def test_chunks_become_words_and_last_marks_the_final_one(config: str, input_stall: float, output_stall: float) -> None:
    params, rng = load_params(config), random.Random(1)
    dut = Packer(params)

    async def testbench(ctx: SimulatorContext) -> None:
        for size in (60, 1, 0, 3, 60):
            chunks = completed(random_chunks(rng, params, size), params.word_bits)
            source = Source(dut.i, chunk_payloads(chunks, params), input_stall)
            sink = Sink(dut.o, output_stall)
            bench = Bench(ctx, source, sink)
            await bench.until(lambda source=source: source.done)
            await bench.step(10 if not output_stall else 80)
            assert sink.taken == words_of(chunks, params.word_bits)

    simulate(dut, testbench)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize(("input_stall", "output_stall"), STALLS)
def test_frames_may_follow_each_other_at_once(config: str, input_stall: float, output_stall: float) -> None:
    params, rng = load_params(config), random.Random(2)
    dut = Packer(params)
    frames = [completed(random_chunks(rng, params, rng.randint(0, 9)), params.word_bits) for _ in range(40)]
    expected = [word for chunks in frames for word in words_of(chunks, params.word_bits)]

    async def testbench(ctx: SimulatorContext) -> None:
        source = Source(dut.i, [p for chunks in frames for p in chunk_payloads(chunks, params)], input_stall)
        sink = Sink(dut.o, output_stall)
        bench = Bench(ctx, source, sink)
        await bench.until(lambda: source.done and len(sink.taken) >= len(expected))
        assert sink.taken == expected

    simulate(dut, testbench)


@pytest.mark.parametrize("config", CONFIGS)
def test_with_a_ready_output_a_chunk_enters_every_cycle_and_a_word_leaves_behind_the_chunk_that_completes_it(
    config: str,
) -> None:
    params, rng = load_params(config), random.Random(3)
    dut, word = Packer(params), params.word_bits
    whole = [(n + 1, word) for n in range(20)]
    chunks = completed([*whole, *random_chunks(rng, params, 300), *whole], word)

    async def testbench(ctx: SimulatorContext) -> None:
        source, sink = Source(dut.i, chunk_payloads(chunks, params)), Sink(dut.o)
        bench = Bench(ctx, source, sink)
        await bench.until(lambda: source.done)
        await bench.step(5)
        assert source.taken_at == list(range(len(chunks)))
        filled, completing = 0, []
        for cycle, (_, count) in enumerate(chunks):
            completing += [cycle + Packer.LATENCY] * ((filled + count) // word)
            filled = (filled + count) % word
        assert sink.taken_at == completing

    simulate(dut, testbench)


def test_a_chunk_that_fills_up_takes_what_is_missing_and_nothing_where_no_word_is_begun() -> None:
    params, rng = load_params("default"), random.Random(6)
    dut, word = Packer(params), params.word_bits
    layout: Any = chunk_layout(params)

    async def testbench(ctx: SimulatorContext) -> None:
        fill, payloads, chunks = 0, [], []
        for n in range(60):
            bits, count = random_chunks(rng, params, 1)[0]
            payloads.append(pack_fields(layout, bits=bits, count=count))
            chunks.append((bits, count))
            fill = (fill + count) % word
            if n % 3 == 0 or n == 59:
                payloads.append(pack_fields(layout, align=1))
                chunks.append((0, -fill % word))
                fill = 0
        source, sink = Source(dut.i, payloads, 0.2), Sink(dut.o, 0.2)
        bench = Bench(ctx, source, sink)
        await bench.until(lambda: source.done)
        await bench.step(20)
        data = [word_payload & ((1 << word) - 1) for word_payload in sink.taken]
        assert data == [payload & ((1 << word) - 1) for payload in words_of(chunks, word)]

    simulate(dut, testbench)


def test_nothing_enters_while_the_output_waits() -> None:
    dut = Packer(TINY)

    async def testbench(ctx: SimulatorContext) -> None:
        source, sink = Source(dut.i, chunk_payloads([(n, 64) for n in range(5)], TINY)), Sink(dut.o, stall=1.0)
        await Bench(ctx, source, sink).step(10)
        assert not source.taken_at and not sink.taken

    simulate(dut, testbench)


@st.composite
def frames(draw: st.DrawFn) -> list[Chunk]:
    counts = draw(st.lists(st.integers(0, TINY.word_bits), max_size=40))
    return [(draw(st.integers(0, (1 << min(count, 8 * TINY.codes_per_cycle)) - 1)), count) for count in counts]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(chunks=frames(), source_stall=st.sampled_from([0.0, 0.5]), take_stall=st.sampled_from([0.0, 0.5, 0.9]))
def test_unpacking_what_was_packed_gives_the_chunks_again(
    chunks: list[Chunk], source_stall: float, take_stall: float
) -> None:
    chunks = completed(chunks, TINY.word_bits)
    packer, unpacker = Packer(TINY), Unpacker(TINY)
    m = Module()
    m.submodules += [packer, unpacker]
    m.submodules += (buffer := SkidBuffer(packer.o.payload.shape()))
    connect(m, packer.o, buffer.i)
    connect(m, buffer.o, unpacker.i)

    async def testbench(ctx: SimulatorContext) -> None:
        source = Source(packer.i, chunk_payloads(chunks, TINY), source_stall)
        bench, rng = Bench(ctx, source), random.Random(4)
        for bits, count in chunks:
            ctx.set(unpacker.count, count)
            ctx.set(unpacker.ask, 1)
            await bench.step()
            ctx.set(unpacker.ask, 0)
            while count and (not ctx.get(unpacker.there) or rng.random() < take_stall):
                assert bench.cycle < 2000
                await bench.step()
            if count:
                assert ctx.get(unpacker.window) & ((1 << count) - 1) == bits
            ctx.set(unpacker.take, ctx.get(unpacker.there))
            await bench.step()
            ctx.set(unpacker.take, 0)
        ctx.set(unpacker.count, 1)
        ctx.set(unpacker.ask, 1)
        await bench.step(5)
        assert source.done and not ctx.get(unpacker.there)

    simulate(m, testbench)


def test_a_chunk_may_fill_a_whole_word_with_codes() -> None:
    params = CodecParams()
    dut = Packer(params)
    rng = random.Random(5)
    chunks = [(rng.getrandbits(64), 64) for _ in range(20)]

    async def testbench(ctx: SimulatorContext) -> None:
        shifted = completed([(1, 1), *chunks], 64)
        source, sink = Source(dut.i, chunk_payloads(shifted, params)), Sink(dut.o)
        bench = Bench(ctx, source, sink)
        await bench.until(lambda: source.done)
        await bench.step(5)
        assert sink.taken == words_of(shifted, 64)

    simulate(dut, testbench)
