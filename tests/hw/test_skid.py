"""The skid buffer: order, throughput, latency, capacity, and no path from one side to the other."""

import random

import pytest
from amaranth.sim import SimulatorContext

from actcodec_rtl.skid import SkidBuffer
from support.streams import Bench, Sink, Source, simulate


@pytest.mark.parametrize(("input_stall", "output_stall"), [(0.5, 0.5), (0.0, 0.7), (0.7, 0.0), (0.2, 0.2)])
def test_payloads_leave_in_order_whatever_the_stalls(input_stall: float, output_stall: float) -> None:
    dut, rng = SkidBuffer(16), random.Random(1)
    payloads = [rng.getrandbits(16) for _ in range(500)]

    async def testbench(ctx: SimulatorContext) -> None:
        source, sink = Source(dut.i, payloads, input_stall), Sink(dut.o, output_stall)
        bench = Bench(ctx, source, sink)
        await bench.until(lambda: len(sink.taken) == len(payloads))
        sink.stall = 0.0
        await bench.step(5)
        assert sink.taken == payloads

    simulate(dut, testbench)


def test_without_stalls_one_payload_a_cycle_passes_with_the_latency_of_the_constant() -> None:
    dut = SkidBuffer(8)

    async def testbench(ctx: SimulatorContext) -> None:
        source, sink = Source(dut.i, range(50)), Sink(dut.o)
        await Bench(ctx, source, sink).until(lambda: len(sink.taken) == 50)
        assert source.taken_at == list(range(50))
        assert sink.taken_at == [cycle + SkidBuffer.LATENCY for cycle in source.taken_at]

    simulate(dut, testbench)


def test_two_payloads_fit_and_the_third_waits() -> None:
    dut = SkidBuffer(8)

    async def testbench(ctx: SimulatorContext) -> None:
        source, sink = Source(dut.i, range(1, 10)), Sink(dut.o, stall=1.0)
        bench = Bench(ctx, source, sink)
        await bench.step(10)
        assert source.taken_at == [0, 1]
        sink.stall = 0.0
        await bench.until(lambda: len(sink.taken) == 9)
        assert sink.taken == list(range(1, 10))

    simulate(dut, testbench)


def test_neither_side_sees_the_other_within_a_cycle() -> None:
    dut, rng = SkidBuffer(8), random.Random(2)

    async def testbench(ctx: SimulatorContext) -> None:
        for _ in range(200):
            seen = set()
            for _ in range(4):
                ctx.set(dut.i.valid, rng.getrandbits(1))
                ctx.set(dut.i.payload, rng.getrandbits(8))
                ctx.set(dut.o.ready, rng.getrandbits(1))
                seen.add((ctx.get(dut.i.ready), ctx.get(dut.o.valid), ctx.get(dut.o.payload)))
            assert len(seen) == 1
            await ctx.tick()

    simulate(dut, testbench)
