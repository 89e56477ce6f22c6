"""The unpacker against strings of bits."""

import random

import pytest
from amaranth.hdl import Elaboratable, Module
from amaranth.lib.wiring import connect
from amaranth.sim import SimulatorContext

from actcodec.params import CodecParams, load_params
from actcodec_rtl.layouts import word_layout
from actcodec_rtl.skid import SkidBuffer
from actcodec_rtl.unpacker import Unpacker
from support.frames import CONFIGS
from support.streams import Bench, Source, simulate


def random_words(rng: random.Random, word: int, count: int) -> tuple[list[int], int]:
    """Payloads with ``last`` at random, and their data as one number."""
    data = [rng.getrandbits(word) for _ in range(count)]
    return [d | rng.getrandbits(1) << word for d in data], sum(d << n * word for n, d in enumerate(data))


class Buffered(Elaboratable):
    """An unpacker behind an input buffer, as in the decoder: what is offered to it is known at a cycle's start."""

    def __init__(self, params: CodecParams) -> None:
        self.unpacker, self.buffer = Unpacker(params), SkidBuffer(word_layout(params))
        self.i = self.buffer.i
        for name in ("ask", "align", "count", "there", "window", "take"):
            setattr(self, name, getattr(self.unpacker, name))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.unpacker, m.submodules.buffer = self.unpacker, self.buffer
        connect(m, self.buffer.o, self.unpacker.i)
        return m


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize(("input_stall", "take_stall"), [(0.0, 0.0), (0.6, 0.0), (0.0, 0.6), (0.4, 0.4)])
def test_every_take_sees_the_next_bits(config: str, input_stall: float, take_stall: float) -> None:
    params, rng = load_params(config), random.Random(1)
    dut, word = Buffered(params), params.word_bits
    payloads, bits = random_words(rng, word, 40)
    window = 8 * params.codes_per_cycle

    async def testbench(ctx: SimulatorContext) -> None:
        source = Source(dut.i, payloads, input_stall)
        bench, dropped, asked = Bench(ctx, source), 0, None
        while dropped < 40 * word:
            take = asked is not None and ctx.get(dut.there) and rng.random() >= take_stall
            if asked is not None and ctx.get(dut.there):
                assert asked <= len(source.taken_at) * word - dropped
                visible = (1 << min(asked, window)) - 1
                assert ctx.get(dut.window) & visible == bits >> dropped & visible
            if take:
                dropped, asked = dropped + asked, None
            count = min(rng.choice([1, word, window, rng.randint(1, word)]), 40 * word - dropped)
            ask = asked is None and rng.random() >= take_stall / 2
            # A count without a request asks for nothing.
            ctx.set(dut.count, count)
            ctx.set(dut.ask, ask)
            ctx.set(dut.take, take)
            asked = count if ask else asked
            await bench.step()
            assert bench.cycle < 20_000
        assert source.done

    simulate(dut, testbench)


@pytest.mark.parametrize("config", CONFIGS)
def test_as_long_as_words_arrive_a_whole_word_may_be_taken_every_cycle(config: str) -> None:
    params, rng = load_params(config), random.Random(2)
    dut, word = Buffered(params), params.word_bits
    payloads, bits = random_words(rng, word, 300)

    async def testbench(ctx: SimulatorContext) -> None:
        bench, dropped = Bench(ctx, Source(dut.i, payloads)), 0
        await bench.step(3)
        ctx.set(dut.ask, 1)
        count = word
        ctx.set(dut.count, count)
        await bench.step()
        ctx.set(dut.take, 1)
        for cycle in range(200):
            assert ctx.get(dut.there)
            assert ctx.get(dut.window) == bits >> dropped & ((1 << 8 * params.codes_per_cycle) - 1)
            dropped += count
            count = word if cycle < 50 else rng.choice([0, 1, word - 1, word, rng.randint(0, word)])
            ctx.set(dut.count, count)
            await bench.step()

    simulate(dut, testbench)


def test_a_word_is_held_and_the_next_enters_with_its_last_bit() -> None:
    params = load_params("tiny")
    dut = Buffered(params)

    async def testbench(ctx: SimulatorContext) -> None:
        source = Source(dut.i, range(1, 9))
        bench = Bench(ctx, source)
        await bench.step(5)

        async def move(count: int, align: bool, take: bool) -> None:
            """Ask, and take what was asked for before."""
            ctx.set(dut.count, count)
            ctx.set(dut.align, align)
            ctx.set(dut.ask, 1)
            ctx.set(dut.take, take)
            await bench.step()
            assert ctx.get(dut.there)

        # Three words are inside: one held, two in the buffer, which takes the next one a cycle after it gave one.
        await move(63, False, take=False)
        assert len(source.taken_at) == 3
        for count, taken in ((1, 3), (64, 3), (10, 4)):
            await move(count, False, take=True)
            assert len(source.taken_at) == taken
        assert ctx.get(dut.window) & 0xFF == 3
        # What is left of a begun word goes at once; of one that is not begun, nothing.
        for _ in range(2):
            await move(0, True, take=True)
        await move(8, False, take=True)
        assert ctx.get(dut.window) & 0xFF == 4

    simulate(dut, testbench)


def test_bits_behind_the_last_word_are_not_there_and_an_alignment_always_is() -> None:
    params = load_params("tiny")
    dut = Buffered(params)

    async def testbench(ctx: SimulatorContext) -> None:
        source = Source(dut.i, [5])
        bench = Bench(ctx, source)
        for count, align, there in ((60, 0, 1), (5, 0, 0)):
            ctx.set(dut.count, count)
            ctx.set(dut.align, align)
            ctx.set(dut.ask, 1)
            ctx.set(dut.take, ctx.get(dut.there))
            await bench.step()
            ctx.set(dut.ask, 0)
            ctx.set(dut.take, 0)
            await bench.step(5)
            assert ctx.get(dut.there) == there

    simulate(dut, testbench)
