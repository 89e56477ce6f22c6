"""The guard against a consumer that knows how many inputs its frames have."""

from __future__ import annotations

import random
from typing import Any

import pytest
from amaranth.hdl import ResetInserter, Signal
from amaranth.sim import SimulatorContext

from actcodec.params import load_params
from actcodec_rtl.frame_guard import FrameGuard
from actcodec_rtl.layouts import word_layout
from support.streams import Bench, Source, Strobes, simulate

WORD = load_params("tiny").word_bits
LAST = 1 << WORD


class Consumer:
    """Takes frames of the given lengths, one input at a time, and says when each has ended: with its last input, or
    ``after`` that, in a cycle of its own."""

    def __init__(self, dut: Any, lengths: list[int], after: bool, stall: float, seed: int) -> None:
        self._dut, self._left, self._after = dut, list(lengths), after
        self._rng, self._stall = random.Random(seed), stall
        self._needs = self._left[0]
        self._wants = self._takes = self._ends = False
        self._payload = 0
        self.frames: list[list[int]] = [[]]

    @property
    def done(self) -> bool:
        return not self._left

    def drive(self, ctx: SimulatorContext) -> None:
        idle = self.done or self._rng.random() < self._stall
        self._wants = not idle and self._needs > 0
        ctx.set(self._dut.wants, self._wants)
        ctx.set(self._dut.o.ready, self._wants)
        self._ends = not idle and self._needs == 0
        ctx.set(self._dut.ends, self._ends)

    def sample(self, ctx: SimulatorContext) -> None:
        self._takes = self._wants and bool(ctx.get(self._dut.o.valid))
        self._payload = ctx.get(self._dut.o.payload.data)
        if self._takes and self._needs == 1 and not self._after:
            self._ends = True
            ctx.set(self._dut.ends, 1)

    def settle(self, cycle: int) -> None:
        if self._takes:
            self.frames[-1].append(self._payload)
            self._needs -= 1
        if self._ends:
            self._left.pop(0)
            self.frames.append([])
            self._needs = self._left[0] if self._left else 0


@pytest.mark.parametrize("after", [False, True], ids=["with its last input", "later"])
@pytest.mark.parametrize(("input_stall", "output_stall"), [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.4, 0.4)])
def test_frames_of_any_length_come_out_as_long_as_they_have_to_be(
    after: bool, input_stall: float, output_stall: float
) -> None:
    rng = random.Random(1)
    dut = FrameGuard(word_layout(load_params("tiny")))
    lengths = [rng.randint(1, 6) for _ in range(120)]
    payloads, expected, early, late = [], [], 0, 0
    for length in lengths:
        given = max(1, length + rng.choice([0, 0, -1, -2, 1, 2]))
        words = [rng.getrandbits(WORD) for _ in range(given)]
        payloads += [*words[:-1], words[-1] | LAST]
        expected.append((words + [0] * length)[:length])
        early += given < length
        late += given > length

    async def testbench(ctx: SimulatorContext) -> None:
        source = Source(dut.i, payloads, input_stall)
        consumer = Consumer(dut, lengths, after, output_stall, 2)
        flags = {name: Strobes(getattr(dut, name)) for name in ("early", "late")}
        bench = Bench(ctx, source, consumer, *flags.values())
        await bench.until(lambda: source.done and consumer.done)
        assert consumer.frames[:-1] == expected
        assert {name: strobes.counts[""] for name, strobes in flags.items()} == {"early": early, "late": late}
        if (input_stall, output_stall, after) == (0.0, 0.0, False):
            # Without stalls an input a cycle, the dropped ones among them; one cycle to find that inputs are missing.
            assert (
                bench.cycle
                == len(payloads)
                + sum(len(e) for e in expected)
                - sum(min(len(e), n) for e, n in zip(expected, map(len, _cut(payloads)), strict=True))
                + early
            )

    simulate(dut, testbench)


def _cut(payloads: list[int]) -> list[list[int]]:
    frames: list[list[int]] = [[]]
    for payload in payloads:
        frames[-1].append(payload)
        if payload & LAST:
            frames.append([])
    return frames[:-1]


def test_what_a_consumer_has_taken_beyond_its_frame_is_late() -> None:
    """A surplus input with ``last`` ends the dropping, one without begins it."""
    dut = FrameGuard(word_layout(load_params("tiny")))

    async def testbench(ctx: SimulatorContext) -> None:
        for surplus, dropped in (([LAST | 5], 0), ([5, 6, LAST | 7], 2)):
            ctx.set(dut.o.ready, 1)
            source, late = Source(dut.i, [1, 2, *surplus, 9 | LAST]), Strobes(dut.late)
            bench = Bench(ctx, source, late)
            await bench.step(3)
            ctx.set(dut.o.ready, 0)
            ctx.set(dut.ends, 1)
            ctx.set(dut.surplus, 1)
            await bench.step()
            ctx.set(dut.ends, 0)
            ctx.set(dut.surplus, 0)
            await bench.step(dropped + 1)
            assert ctx.get(dut.o.valid) and ctx.get(dut.o.payload.data) == 9 and late.counts[""] == 1
            ctx.set(dut.o.ready, 1)
            await bench.step()
            ctx.set(dut.ends, 1)
            await bench.step()
            ctx.set(dut.ends, 0)
            assert source.done and late.counts[""] == 1

    simulate(dut, testbench)


def test_a_reset_ends_zeros_and_dropping() -> None:
    dut, reset = FrameGuard(word_layout(load_params("tiny"))), Signal()

    async def testbench(ctx: SimulatorContext) -> None:
        for payloads, ends in (([1 | LAST], 0), ([1], 1)):
            ctx.set(dut.o.ready, 1)
            ctx.set(dut.wants, 1)
            bench = Bench(ctx, Source(dut.i, payloads))
            await bench.step()
            ctx.set(dut.ends, ends)
            await bench.step(2)
            ctx.set(dut.ends, 0)
            ctx.set(dut.i.valid, 0)
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)
            ctx.set(dut.wants, 0)
            assert not ctx.get(dut.o.valid)
            ctx.set(dut.i.valid, 1)
            ctx.set(dut.i.payload.data, 7)
            assert ctx.get(dut.o.valid) and ctx.get(dut.o.payload.data) == 7
            ctx.set(dut.i.valid, 0)

    simulate(ResetInserter(reset)(dut), testbench)
