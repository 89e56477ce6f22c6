"""Extractor and gatherer against a string of bits: groups of shifted codes, padding and what is not wanted dropped."""

import random

import pytest
from amaranth.hdl import Elaboratable, Module
from amaranth.lib.wiring import connect
from amaranth.sim import SimulatorContext

from actcodec.params import CODE_VALUE_BITS, MAX_LEFT_SHIFT, MAX_WIDTH, CodecParams, load_params
from actcodec.tables.records import decoder_records
from actcodec_rtl.extractor import Extractor
from actcodec_rtl.gatherer import Gatherer
from actcodec_rtl.layouts import word_layout
from actcodec_rtl.skid import SkidBuffer
from actcodec_rtl.walker import step_layout
from support.blocks import STALLS, Beside, Watch, packed
from support.frames import ODD_BUILDS
from support.streams import Bench, Sink, Source, simulate

BUILDS = [load_params("tiny"), load_params("default"), ODD_BUILDS[2], ODD_BUILDS[4]]


class Stream:
    """A frame of random records, dropped ones, padding and words begun further on.

    The steps, the words that they are cut from, and the groups' codes, slot by slot.
    """

    def __init__(self, rng: random.Random, p: CodecParams, groups: int) -> None:
        self._rng, self._params, self._step = rng, p, step_layout(p)
        self._bits = self._count = self.payload = 0
        self.records: list[tuple[int, int]] = []
        """(step, record)"""
        self.groups: list[list[tuple[int, int]]] = []
        """(slot, value)"""
        for _ in range(groups):
            for _ in range(rng.choice([0, 0, 1, 3])):
                self._record(p.codes_per_cycle, drop=1)
            self._group()
            for _ in range(rng.choice([0, 0, 0, 1, 3])):
                self._pad(whole=self._count % p.word_bits == 0 and rng.random() < 0.7)
            if rng.random() < 0.2:
                self._pad(whole=False, place=rng.randrange(p.word_bits))
        # A word that is begun holds something.
        self._group()
        self._pad(whole=False, last=1)

    def _group(self) -> None:
        codes, slots = self._params.codes_per_cycle, self._params.slots
        parts = self._rng.randint(1, -(-slots // codes))
        group: list[tuple[int, int]] = []
        for part in range(parts):
            before = self._count
            found = enumerate(self._record(codes, ends=int(part == parts - 1)), part * codes)
            group += [(slot, value) for slot, value in found if slot < slots]
            self.payload += self._count - before
        self.groups.append(group)

    def _record(self, codes: int, *, ends: int = 1, drop: int = 0) -> list[int]:
        """Put codes into the stream; return them shifted."""
        rng = self._rng
        widths = [rng.choice([0, MAX_WIDTH, rng.randint(0, MAX_WIDTH)]) for _ in range(codes)]
        widths[rng.randrange(codes)] = rng.randint(1, MAX_WIDTH)
        shifts = [rng.randint(0, MAX_LEFT_SHIFT) for _ in range(codes)]
        values = []
        for width, shift in zip(widths, shifts, strict=True):
            code = rng.getrandbits(width)
            self._bits |= code << self._count
            self._count += width
            values.append(code << shift)
        fields = {"ends": ends, "count": sum(widths), "width": widths, "left_shift": shifts}
        step = packed(self._step, {"drop": drop})
        self.records.append((step, decoder_records(self._params)["code"].pack(fields)))
        return values

    def _pad(self, whole: bool, place: int = 0, last: int = 0) -> None:
        word = self._params.word_bits
        step = packed(self._step, {"pad": 1, "whole": int(whole), "place": place, "last": last})
        self.records.append((step, self._rng.getrandbits(decoder_records(self._params)["code"].bits)))
        missing = word if whole else -self._count % word + place
        # What fills a row up is looked at by nobody.
        self._bits |= self._rng.getrandbits(missing + 1) >> 1 << self._count
        self._count += missing

    def words(self) -> list[int]:
        word = self._params.word_bits
        return [self._bits >> n * word & ((1 << word) - 1) for n in range(self._count // word)]


class Buffered(Elaboratable):
    """An extractor between an input buffer and a gatherer, as in the decoder."""

    def __init__(self, params: CodecParams) -> None:
        self.extractor = Extractor(params)
        self.gatherer = Gatherer(params)
        self.beside = Beside(self.extractor, "step", "record")
        self.buffer = SkidBuffer(word_layout(params))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.beside, m.submodules.buffer, m.submodules.gatherer = self.beside, self.buffer, self.gatherer
        connect(m, self.buffer.o, self.extractor.i)
        connect(m, self.extractor.o, self.gatherer.i)
        return m


@pytest.mark.parametrize("params", BUILDS, ids=lambda p: f"{p.slots} slots, {p.codes_per_cycle} codes")
@pytest.mark.parametrize(("input_stall", "output_stall"), STALLS)
def test_codes_of_a_group_are_cut_out_and_shifted(params: CodecParams, input_stall: float, output_stall: float) -> None:
    stream = Stream(random.Random(1), params, 60)
    dut = Buffered(params)

    async def testbench(ctx: SimulatorContext) -> None:
        steps = [step | record << dut.beside.payload_bits for step, record in stream.records]
        # A word too many, which the frame does not need.
        words = Source(dut.buffer.i, [*stream.words(), 1], 0.97 if input_stall else 0.0)
        records = Source(dut.beside.stream, steps, input_stall, seed=1)
        sink = Sink(dut.gatherer.o, output_stall)
        seen: list[tuple[int, int, int, int]] = []

        def look(ctx: SimulatorContext) -> None:
            ends = ctx.get(dut.extractor.ends)
            surplus = ends and ctx.get(dut.extractor.surplus)
            seen.append((ctx.get(dut.extractor.bits), ctx.get(dut.extractor.starved), ends, surplus))

        watch = Watch(look)
        bench = Bench(ctx, words, records, sink, watch)
        await bench.until(lambda: len(sink.taken) >= len(stream.groups) and records.done and words.done)
        await bench.step(6)
        bits, starved, ends, surplus = (sum(column) for column in zip(*seen, strict=True))
        assert bits == stream.payload and ends == 1
        assert surplus == 1 or input_stall
        assert starved > 0 if input_stall else starved < 3
        mask = (1 << CODE_VALUE_BITS) - 1
        for raw, group in zip(sink.taken, stream.groups, strict=True):
            assert [(slot, raw >> slot * CODE_VALUE_BITS & mask) for slot, _ in group] == group
        if not input_stall + output_stall:
            # One record or padding a cycle, from the first word on.
            assert records.taken_at[-1] - records.taken_at[2] == len(steps) - 3

    simulate(dut, testbench)
