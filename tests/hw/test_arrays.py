"""The MAC arrays against integer sums of products, dense and diagonal, with inputs that are kept."""

import random
from typing import Any

import pytest
from amaranth.sim import SimulatorContext

from actcodec.params import CODE_VALUE_BITS, CodecParams, load_params
from actcodec.tables.records import decoder_records, encoder_records
from actcodec_rtl.decoder_array import DecoderArray
from actcodec_rtl.encoder_array import EncoderArray
from actcodec_rtl.layouts import channels_layout, sums_layout, values_layout
from support.blocks import STALLS, Beside, Watch, WithMultipliers, packed
from support.frames import ODD_BUILDS
from support.streams import Bench, Sink, Source, simulate

BUILDS = [load_params("tiny"), load_params("default"), ODD_BUILDS[1], ODD_BUILDS[3], ODD_BUILDS[4]]
Matrix = list[list[int]]


def wrapped(value: int, bits: int) -> int:
    """Modulo 2^bits, signed: sums are exact that far."""
    return (value + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))


class Work:
    """Random blocks: operations as records, the inputs that they take, and what the array has to compute."""

    def __init__(self, rng: random.Random, p: CodecParams, decoder: bool) -> None:
        self.rng, self.params, self.decoder = rng, p, decoder
        self.record = (decoder_records if decoder else encoder_records)(p)["operation"]
        self.operations: list[int] = []
        """Records, above each the bits of ``closes`` and, in the decoder, of ``bank``."""
        self.closes: list[int] = []
        """Of every result."""
        self.last_lanes: list[int] = []
        """Of every beat."""
        self.inputs: list[list[int]] = []
        self.results: list[dict[int, int]] = []
        """Sum by slot or lane, where it means anything."""
        self.addresses: list[int] = []
        """Of every result's record of the beat, its bank included."""
        for _ in range(25):
            if rng.random() < 0.5:
                self.dense()
            else:
                self.diagonal()

    def taken(self) -> list[int]:
        """A beat, or a group of codes."""
        if self.decoder:
            values = [self.rng.getrandbits(CODE_VALUE_BITS) for _ in range(self.params.slots)]
        else:
            values = [self.rng.getrandbits(8) for _ in range(self.params.lanes)]
        self.inputs.append(values)
        return values

    def matrix(self) -> Matrix:
        return [[self.rng.randint(-128, 127) for _ in range(self.params.lanes)] for _ in range(self.params.rows)]

    def put(self, matrix: Matrix, **fields: int) -> None:
        p, closes, bank = self.params, 0, self.rng.randrange(self.params.banks)
        if self.decoder:
            # A power of two, so that a bank is its upper half.
            fields["step"] = self.rng.randrange(p.step_depth)
            if fields["last"]:
                self.addresses.append(fields["step"] ^ bank * p.step_depth // 2)
        else:
            fields["last_lane"] = self.rng.randrange(p.lanes)
            if fields["fresh"]:
                self.last_lanes.append(fields["last_lane"])
        if fields["last"]:
            closes = self.rng.getrandbits(1)
            self.closes.append(closes)
        bits = self.record.pack({**fields, "matrix": [entry for row in matrix for entry in row]})
        self.operations.append(bits | (closes | bank << 1 if self.decoder else closes) << self.record.bits)

    def dense(self) -> None:
        """Some steps that use inputs of a block, the first time fresh."""
        p, rng = self.params, self.rng
        most = p.groups_per_block if self.decoder else p.beats_per_block
        steps = p.beats_per_block if self.decoder else p.groups_per_block
        inputs = [self.taken() for _ in range(rng.randint(1, most))]
        for step in range(rng.randint(1, steps)):
            sums = [0] * (p.lanes if self.decoder else p.rows)
            for index, values in enumerate(inputs):
                matrix = self.matrix()
                for row in range(p.rows):
                    for lane in range(p.lanes):
                        if self.decoder:
                            sums[lane] += matrix[row][lane] * values[row]
                        else:
                            sums[row] += matrix[row][lane] * values[lane]
                ends = {"first": index == 0, "last": index == len(inputs) - 1, "fresh": step == 0}
                self.put(matrix, index=index, diagonal=0, part=0, **{name: int(flag) for name, flag in ends.items()})
            self.results.append(dict(enumerate(wrapped(total, p.acc_bits) for total in sums)))

    def diagonal(self) -> None:
        """The parts of a beat, of which the encoder completes each by itself and the decoder all together."""
        p = self.params
        parts, codes = p.parts_per_beat, p.codes_per_cycle
        values: list[int] = []
        sums: dict[int, int] = {}
        for part in range(parts):
            fresh = self.decoder or part == 0
            values = self.taken() if fresh else values
            matrix = [[0] * p.lanes for _ in range(p.rows)]
            matrix[0][part * codes : (part + 1) * codes] = self.matrix()[0][:codes]
            for slot in range(codes):
                lane = part * codes + slot
                if self.decoder:
                    sums[lane] = matrix[0][lane] * values[slot]
                else:
                    sums[slot] = matrix[0][lane] * values[lane]
            first, last = (part == 0, part == parts - 1) if self.decoder else (True, True)
            self.put(matrix, index=0, diagonal=1, part=part, fresh=int(fresh), first=int(first), last=int(last))
            if last:
                self.results.append(dict(sums))


@pytest.mark.parametrize("params", BUILDS, ids=lambda p: f"{p.lanes}x{p.rows} of {p.block}, {p.codes_per_cycle} codes")
@pytest.mark.parametrize(("input_stall", "output_stall"), STALLS)
def test_the_encoders_sums(params: CodecParams, input_stall: float, output_stall: float) -> None:
    work = Work(random.Random(1), params, decoder=False)
    dut = Beside(WithMultipliers(EncoderArray(params), params, "encoder"), "operation", "closes")

    async def testbench(ctx: SimulatorContext) -> None:
        beats = [packed(dut.i.payload.shape(), values) for values in work.inputs]
        operations = Source(dut.stream, work.operations, input_stall)
        sink = Sink(dut.o, output_stall)
        last_lanes: list[int] = []
        ends = 0

        def look(ctx: SimulatorContext) -> None:
            nonlocal ends
            ends += ctx.get(dut.ends)
            if ctx.get(dut.i.valid) and ctx.get(dut.i.ready):
                last_lanes.append(ctx.get(dut.last_lane))

        bench = Bench(ctx, operations, Source(dut.i, beats, input_stall, seed=1), sink, Watch(look))
        await bench.until(lambda: len(sink.taken) >= len(work.results))
        assert last_lanes == work.last_lanes and ends == sum(work.closes)
        for raw, result in zip(sink.taken, work.results, strict=True):
            sums: Any = sums_layout(params).from_bits(raw)
            assert {slot: sums[slot] for slot in result} == result
        if not input_stall + output_stall:
            assert operations.taken_at == list(range(len(work.operations)))
            assert sink.taken_at[-1] - operations.taken_at[-1] == EncoderArray.LATENCY

    simulate(dut, testbench)


@pytest.mark.parametrize("params", BUILDS, ids=lambda p: f"{p.lanes}x{p.rows} of {p.block}, {p.codes_per_cycle} codes")
@pytest.mark.parametrize(("input_stall", "output_stall"), STALLS)
def test_the_decoders_sums_come_with_the_address_of_their_beat(
    params: CodecParams, input_stall: float, output_stall: float
) -> None:
    work = Work(random.Random(2), params, decoder=True)
    array = WithMultipliers(DecoderArray(params), params, "decoder")
    dut = Beside(array, "operation", "closes", "bank")

    async def testbench(ctx: SimulatorContext) -> None:
        groups = [packed(values_layout(params), values) for values in work.inputs]
        operations = Source(dut.stream, work.operations, input_stall)
        sink = Sink(array.o, output_stall)
        read, registered = [-1], [-1]
        addresses: list[int] = []

        def look(ctx: SimulatorContext) -> None:
            if ctx.get(array.o.ready):
                if ctx.get(array.o.valid):
                    addresses.append(registered[-1])
                registered.append(read[-1])
            if ctx.get(array.beat_en):
                read.append(ctx.get(array.beat_addr))

        bench = Bench(ctx, operations, Source(array.i, groups, input_stall, seed=1), sink, Watch(look))
        await bench.until(lambda: len(sink.taken) >= len(work.results))
        assert read[1:] == addresses == work.addresses
        for raw, result, closes in zip(sink.taken, work.results, work.closes, strict=True):
            channels: Any = channels_layout(params).from_bits(raw)
            assert {lane: channels.acc[lane] for lane in result} == result
            assert channels.last == closes
        if not input_stall + output_stall:
            assert operations.taken_at == list(range(len(work.operations)))
            assert sink.taken_at[-1] - operations.taken_at[-1] == DecoderArray.LATENCY

    simulate(dut, testbench)
