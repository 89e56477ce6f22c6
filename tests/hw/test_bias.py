"""The biases of both directions, and the restorer, against integers."""

import random
from types import SimpleNamespace
from typing import Any

import pytest
from amaranth.hdl import Elaboratable, Module, Signal, Value
from amaranth.sim import SimulatorContext

from actcodec.fixedpoint import requantize_activation
from actcodec.params import MAX_SHIFT, MAX_WIDTH, CodecParams, load_params
from actcodec.tables.records import decoder_records, encoder_records
from actcodec_rtl.decoder_bias import DecoderBias
from actcodec_rtl.encoder_bias import EncoderBias
from actcodec_rtl.layouts import (
    accumulators_layout,
    beat_layout,
    channels_layout,
    record_layout,
    restored_layout,
    sums_layout,
)
from actcodec_rtl.restorer import Restorer
from actcodec_rtl.walker import step_layout
from support.blocks import STALLS, Beside, packed
from support.frames import ODD_BUILDS
from support.streams import Bench, Sink, Source, simulate

BUILDS = [load_params("tiny"), ODD_BUILDS[3], ODD_BUILDS[4]]


def accumulator(rng: random.Random, p: CodecParams) -> int:
    half = 1 << (p.acc_bits - 1)
    return rng.randrange(-half, half) >> rng.randrange(p.acc_bits)


def wrapped(value: int, bits: int) -> int:
    """Modulo 2^bits, signed."""
    return (value + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))


@pytest.mark.parametrize("params", BUILDS, ids=lambda p: f"{p.slots} slots, {p.codes_per_cycle} codes")
@pytest.mark.parametrize(("input_stall", "output_stall"), STALLS)
def test_sums_are_completed_record_by_record_with_padding_between_results(
    params: CodecParams, input_stall: float, output_stall: float
) -> None:
    rng, codes = random.Random(1), params.codes_per_cycle
    dut = Beside(EncoderBias(params), "step", "record")
    layout, record = record_layout(encoder_records(params)["code"]), encoder_records(params)["code"]
    results, steps, expected = [], [], []
    for _ in range(60):
        sums = [accumulator(rng, params) for _ in range(params.slots)]
        results.append(packed(sums_layout(params), sums))
        parts = rng.randint(1, -(-params.slots // codes))
        for part in range(parts):
            values = {
                "ends": int(part == parts - 1),
                "bias": [accumulator(rng, params) for _ in range(codes)],
                "shift": [rng.randint(0, MAX_SHIFT) for _ in range(codes)],
                "width": [rng.randint(0, MAX_WIDTH) for _ in range(codes)],
            }
            assert record.bits == layout.size
            steps.append(record.pack(values) << dut.payload_bits)
            mine = (sums + [0] * codes)[part * codes : (part + 1) * codes]
            acc = [wrapped(a + b, params.acc_bits) for a, b in zip(mine, values["bias"], strict=True)]
            known = min(codes, params.slots - part * codes)
            expected.append((acc[:known], values["shift"], values["width"], 0, 0, 0))
        for _ in range(rng.choice([0, 0, 2])):
            whole, last = rng.getrandbits(1), rng.getrandbits(1)
            steps.append(packed(step_layout(), {"pad": 1, "whole": whole, "last": last}))
            expected.append(([], None, [0] * codes, 1 - whole, whole, last))

    async def testbench(ctx: SimulatorContext) -> None:
        sources = Source(dut.i, results, input_stall), Source(dut.stream, steps, input_stall, seed=1)
        sink = Sink(dut.o, output_stall)
        await Bench(ctx, *sources, sink).until(lambda: len(sink.taken) >= len(steps))
        out: Any = accumulators_layout(params)
        for raw, (acc, shift, width, align, whole, last) in zip(sink.taken, expected, strict=True):
            got = out.from_bits(raw)
            assert [got.acc[slot] for slot in range(len(acc))] == acc
            assert shift is None or [got.shift[slot] for slot in range(codes)] == shift
            assert [got.width[slot] for slot in range(codes)] == width
            assert (got.align, got.whole, got.last) == (align, whole, last)

    simulate(dut, testbench)


class ReadAhead(Elaboratable):
    """The decoder's biases behind a stage that sums are in while their record is on the memory's output."""

    def __init__(self, params: CodecParams) -> None:
        self.bias = DecoderBias(params)
        self.sums, self.record = Value.cast(self.bias.i.payload), Value.cast(self.bias.record)
        together = Signal(len(self.sums) + len(self.record))
        self.i = SimpleNamespace(payload=together, valid=Signal(), ready=self.bias.i.ready)
        self.o = self.bias.o

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.bias = self.bias
        m.d.comb += self.record.eq(self.i.payload[len(self.sums) :])
        valid, sums = Signal(), Signal(len(self.sums))
        with m.If(self.i.ready):
            m.d.sync += [valid.eq(self.i.valid), sums.eq(self.i.payload[: len(sums)])]
        m.d.comb += [self.bias.i.valid.eq(valid), self.sums.eq(sums)]
        return m


@pytest.mark.parametrize(("input_stall", "output_stall"), STALLS)
def test_a_beat_is_completed_with_its_record(input_stall: float, output_stall: float) -> None:
    params, rng = load_params("tiny"), random.Random(2)
    dut, record = ReadAhead(params), decoder_records(params)["beat"]
    beats, expected = [], []
    for _ in range(100):
        acc, bias = ([accumulator(rng, params) for _ in range(params.lanes)] for _ in range(2))
        site = {"shift": rng.randint(0, MAX_SHIFT), **{name: rng.randrange(256) for name in ("zero", "low", "high")}}
        site["last_lane"] = rng.randrange(params.lanes)
        last = rng.getrandbits(1)
        given = packed(channels_layout(params), {"acc": acc, "last": last})
        beats.append(given | record.pack({"bias": bias, **site}) << len(dut.sums))
        total = [wrapped(a + b, params.acc_bits) for a, b in zip(acc, bias, strict=True)]
        expected.append(packed(restored_layout(params), {"acc": total, **site, "last": last}))

    async def testbench(ctx: SimulatorContext) -> None:
        source, sink = Source(dut.i, beats, input_stall), Sink(dut.o, output_stall)
        await Bench(ctx, source, sink).until(lambda: len(sink.taken) >= len(beats))
        assert sink.taken == expected
        if not input_stall + output_stall:
            assert sink.taken_at == [cycle + 1 + DecoderBias.LATENCY for cycle in source.taken_at]

    simulate(dut, testbench)


@pytest.mark.parametrize(("input_stall", "output_stall"), STALLS)
def test_accumulators_are_restored_to_activations(input_stall: float, output_stall: float) -> None:
    params, rng, dut = load_params("tiny"), random.Random(3), Restorer(load_params("tiny"))
    beats, expected = [], []
    for _ in range(150):
        acc = [accumulator(rng, params) for _ in range(params.lanes)]
        low, zero, high = sorted(rng.choice([0, 255, rng.randrange(256)]) for _ in range(3))
        zero, shift, last = rng.choice([low, zero]), rng.randint(0, MAX_SHIFT), rng.getrandbits(1)
        ends = {"last_lane": rng.randrange(params.lanes), "last": last}
        given = {"acc": acc, "shift": shift, "zero": zero, "low": low, "high": high, **ends}
        beats.append(packed(restored_layout(params), given))
        restored = [int(requantize_activation(a, shift, zero, low, high)) for a in acc]
        expected.append(packed(beat_layout(params), {"data": restored, **ends}))

    async def testbench(ctx: SimulatorContext) -> None:
        source, sink = Source(dut.i, beats, input_stall), Sink(dut.o, output_stall)
        await Bench(ctx, source, sink).until(lambda: len(sink.taken) >= len(beats))
        assert sink.taken == expected
        if not input_stall + output_stall:
            assert sink.taken_at == [cycle + Restorer.LATENCY for cycle in source.taken_at]

    simulate(dut, testbench)
