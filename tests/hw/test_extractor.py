"""The extractor against a string of bits: groups of shifted codes, padding dropped."""

import random

import pytest
from amaranth.hdl import Elaboratable, Module
from amaranth.lib.wiring import connect
from amaranth.sim import SimulatorContext

from actcodec.params import CODE_VALUE_BITS, MAX_LEFT_SHIFT, MAX_WIDTH, CodecParams, load_params
from actcodec.tables.records import decoder_records
from actcodec_rtl.extractor import Extractor
from actcodec_rtl.layouts import word_layout
from actcodec_rtl.skid import SkidBuffer
from actcodec_rtl.walker import step_layout
from support.blocks import STALLS, Beside, Watch, packed
from support.frames import ODD_BUILDS
from support.streams import Bench, Sink, Source, simulate

BUILDS = [load_params("tiny"), load_params("default"), ODD_BUILDS[2], ODD_BUILDS[4]]


class Stream:
    """Random records and padding: steps, the words that they are cut from, and the groups' codes, slot by slot."""

    def __init__(self, rng: random.Random, p: CodecParams, groups: int) -> None:
        self._rng, self._params = rng, p
        self._bits = self._count = self.payload = 0
        self.records: list[tuple[int, int]] = []
        """(step, record)"""
        self.groups: list[list[tuple[int, int]]] = []
        """(slot, value)"""
        for _ in range(groups):
            self._group()
            for _ in range(rng.choice([0, 0, 0, 1, 3])):
                self._pad(whole=self._count % p.word_bits == 0 and rng.random() < 0.7)
        self._pad(whole=False)

    def _group(self) -> None:
        rng, codes = self._rng, self._params.codes_per_cycle
        parts = rng.randint(1, -(-self._params.slots // codes))
        group = []
        for part in range(parts):
            widths = [rng.choice([0, MAX_WIDTH, rng.randint(0, MAX_WIDTH)]) for _ in range(codes)]
            widths[rng.randrange(codes)] = rng.randint(1, MAX_WIDTH)
            shifts = [rng.randint(0, MAX_LEFT_SHIFT) for _ in range(codes)]
            for slot, (width, shift) in enumerate(zip(widths, shifts, strict=True), part * codes):
                code = rng.getrandbits(width)
                self._bits |= code << self._count
                self._count += width
                if slot < self._params.slots:
                    group.append((slot, code << shift))
            fields = {"ends": int(part == parts - 1), "count": sum(widths), "width": widths, "left_shift": shifts}
            self.payload += sum(widths)
            self.records.append((0, decoder_records(self._params)["code"].pack(fields)))
        self.groups.append(group)

    def _pad(self, whole: bool) -> None:
        word, step = self._params.word_bits, packed(step_layout(), {"pad": 1, "whole": int(whole)})
        self.records.append((step, self._rng.getrandbits(decoder_records(self._params)["code"].bits)))
        missing = word if whole else -self._count % word
        # What fills a row up is looked at by nobody.
        self._bits |= self._rng.getrandbits(missing + 1) >> 1 << self._count
        self._count += missing

    def words(self) -> list[int]:
        word = self._params.word_bits
        return [self._bits >> n * word & ((1 << word) - 1) for n in range(self._count // word)]


class Buffered(Elaboratable):
    """An extractor behind an input buffer, as in the decoder."""

    def __init__(self, params: CodecParams) -> None:
        self.extractor = Extractor(params)
        self.beside = Beside(self.extractor, "step", "record")
        self.buffer = SkidBuffer(word_layout(params))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.beside, m.submodules.buffer = self.beside, self.buffer
        connect(m, self.buffer.o, self.extractor.i)
        return m


@pytest.mark.parametrize("params", BUILDS, ids=lambda p: f"{p.slots} slots, {p.codes_per_cycle} codes")
@pytest.mark.parametrize(("input_stall", "output_stall"), STALLS)
def test_codes_of_a_group_are_cut_out_and_shifted(params: CodecParams, input_stall: float, output_stall: float) -> None:
    stream = Stream(random.Random(1), params, 60)
    dut = Buffered(params)

    async def testbench(ctx: SimulatorContext) -> None:
        steps = [step | record << dut.beside.payload_bits for step, record in stream.records]
        words = Source(dut.buffer.i, stream.words(), 0.97 if input_stall else 0.0)
        records = Source(dut.beside.stream, steps, input_stall, seed=1)
        sink = Sink(dut.extractor.o, output_stall)
        seen: list[tuple[int, int]] = []
        watch = Watch(lambda ctx: seen.append((ctx.get(dut.extractor.bits), ctx.get(dut.extractor.starved))))
        bench = Bench(ctx, words, records, sink, watch)
        await bench.until(lambda: len(sink.taken) >= len(stream.groups) and records.done and words.done)
        await bench.step(6)
        bits, starved = (sum(column) for column in zip(*seen, strict=True))
        assert bits == stream.payload
        assert starved > 0 if input_stall else starved < 3
        mask = (1 << CODE_VALUE_BITS) - 1
        for raw, group in zip(sink.taken, stream.groups, strict=True):
            assert [(slot, raw >> slot * CODE_VALUE_BITS & mask) for slot, _ in group] == group
        if not input_stall + output_stall:
            # One record or padding a cycle, from the first word on.
            assert records.taken_at[-1] - records.taken_at[2] == len(steps) - 3

    simulate(dut, testbench)
