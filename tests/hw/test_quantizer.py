"""The quantizer against integers: chunks of codes, and padding."""

import random
from typing import Any

import pytest
from amaranth.sim import SimulatorContext

from actcodec.fixedpoint import requantize_code
from actcodec.params import MAX_SHIFT, MAX_WIDTH, CodecParams, load_params
from actcodec_rtl.layouts import accumulators_layout, chunk_layout
from actcodec_rtl.quantizer import Quantizer
from support.blocks import STALLS, Watch, packed
from support.frames import ODD_BUILDS
from support.streams import Bench, Sink, Source, fields, simulate

BUILDS = [load_params("tiny"), load_params("default"), ODD_BUILDS[2], ODD_BUILDS[4]]


def random_record(rng: random.Random, p: CodecParams) -> tuple[dict[str, Any], dict[str, int]]:
    """Accumulators and the chunk that they become, or padding."""
    codes, last, kind = p.codes_per_cycle, rng.getrandbits(1), rng.random()
    half = 1 << (p.acc_bits - 1)
    acc = [rng.randrange(-half, half) >> rng.randrange(p.acc_bits) for _ in range(codes)]
    shift = [rng.randint(0, MAX_SHIFT) if rng.random() < 0.3 else rng.randint(0, 8) for _ in range(codes)]
    if kind < 0.2:
        whole = int(kind < 0.1)
        given = {"acc": acc, "shift": shift, "width": [0] * codes, "align": 1 - whole, "whole": whole, "last": last}
        return given, {"bits": 0, "count": whole * p.word_bits, "align": 1 - whole, "last": last}
    width = [rng.choice([0, MAX_WIDTH, rng.randint(1, MAX_WIDTH)]) for _ in range(codes)]
    bits = count = 0
    for a, s, w in zip(acc, shift, width, strict=True):
        bits |= int(requantize_code(a, s, w)) << count
        count += w
    given = {"acc": acc, "shift": shift, "width": width, "align": 0, "whole": 0, "last": last}
    return given, {"bits": bits, "count": count, "align": 0, "last": last}


@pytest.mark.parametrize("params", BUILDS, ids=lambda p: f"{p.codes_per_cycle} codes")
@pytest.mark.parametrize(("input_stall", "output_stall"), STALLS)
def test_accumulators_become_chunks_and_their_bits_are_told(
    params: CodecParams, input_stall: float, output_stall: float
) -> None:
    rng, dut = random.Random(1), Quantizer(params)
    records = [random_record(rng, params) for _ in range(120)]

    async def testbench(ctx: SimulatorContext) -> None:
        layout = accumulators_layout(params)
        source = Source(dut.i, [packed(layout, given) for given, _ in records], input_stall)
        sink = Sink(dut.o, output_stall)
        bits: list[int] = []
        watch = Watch(lambda ctx: bits.append(ctx.get(dut.bits)))
        await Bench(ctx, source, sink, watch).until(lambda: len(sink.taken) >= len(records))
        assert [fields(chunk_layout(params), chunk) for chunk in sink.taken] == [chunk for _, chunk in records]
        assert sum(bits) == sum(chunk["count"] for given, chunk in records if not given["whole"])
        if not input_stall + output_stall:
            assert sink.taken_at == [cycle + Quantizer.LATENCY for cycle in source.taken_at]

    simulate(dut, testbench)
