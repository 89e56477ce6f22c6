"""One array of multipliers for both directions: its products, whose turn it is, and the codec around it."""

import random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from amaranth.sim import SimulatorContext

from actcodec.params import DIRECTIONS, CodecParams, load_params
from actcodec.tables.image import image_of
from actcodec.tables.model import Tables
from actcodec_rtl.codec import Codec
from actcodec_rtl.layouts import job_layout
from actcodec_rtl.multipliers import FACTOR_BITS, Multipliers, SharedMultipliers, Turns
from support.frames import DECODER, ENCODER, Run, frames_of, load_payloads, tables_of
from support.streams import Bench, Source, Strobes, pack_fields, simulate

SHARED = CodecParams.model_validate(load_params("tiny").as_json() | {"shared_array": True})
COUNT = SHARED.lanes * SHARED.rows


def operands(direction: Any, rng: random.Random) -> list[tuple[list[int], list[int]]]:
    """(matrix, factors): all pairs of the ends of the ranges, and random ones."""
    top = (1 << FACTOR_BITS[direction]) - 1
    ends = [(entry, factor) for entry in (-128, -1, 0, 1, 127) for factor in (0, 1, top // 2, top - 1, top)]
    pairs = ends + [(rng.randrange(-128, 128), rng.randrange(top + 1)) for _ in range(200)]
    pairs += [(0, 0)] * (-len(pairs) % COUNT)
    rows = [pairs[i : i + COUNT] for i in range(0, len(pairs), COUNT)]
    return [([entry for entry, _ in row], [factor for _, factor in row]) for row in rows]


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_products_are_exact_and_stay_while_nothing_moves(direction: Any) -> None:
    dut = Multipliers(SHARED, direction)

    async def testbench(ctx: SimulatorContext) -> None:
        wanted: list[int] = []
        for matrix, factors in operands(direction, random.Random(1)):
            for en in (0, 1):
                ctx.set(dut.array.en, en)
                ctx.set(dut.array.matrix, matrix)
                ctx.set(dut.array.factors, factors)
                await ctx.tick()
                if en:
                    wanted = [entry * factor for entry, factor in zip(matrix, factors, strict=True)]
                if wanted:
                    assert [ctx.get(dut.array.products[n]) for n in range(COUNT)] == wanted

    simulate(dut, testbench)


def test_shared_products_are_those_of_the_owner() -> None:
    dut, rng = SharedMultipliers(SHARED), random.Random(2)
    inputs = {name: operands(name, rng) for name in DIRECTIONS}

    async def testbench(ctx: SimulatorContext) -> None:
        for step in range(min(map(len, inputs.values()))):
            owner = DIRECTIONS[rng.randrange(2)]
            ctx.set(dut.decoder_owns, owner == "decoder")
            for name in DIRECTIONS:
                side = getattr(dut, name)
                ctx.set(side.matrix, inputs[name][step][0])
                ctx.set(side.factors, inputs[name][step][1])
                ctx.set(side.en, name == owner)
            await ctx.tick()
            wanted = [entry * factor for entry, factor in zip(*inputs[owner][step], strict=True)]
            assert [ctx.get(getattr(dut, owner).products[n]) for n in range(COUNT)] == wanted

    simulate(dut, testbench)


class Job:
    """A direction that asks for its turn, and is busy for some cycles with every frame."""

    def __init__(self, side: Any, waits: list[int], lengths: list[int]) -> None:
        self.side, self._waits, self._lengths = side, list(waits), list(lengths)
        self.asked_at: list[int] = []
        self.started_at: list[int] = []
        self._asks, self._left = False, 0

    @property
    def done(self) -> bool:
        return not self._lengths and not self._left

    def drive(self, ctx: SimulatorContext, cycle: int) -> None:
        if not self._asks and self._lengths:
            if self._waits[0]:
                self._waits[0] -= 1
            else:
                self._asks = True
                self.asked_at.append(cycle)
        ctx.set(self.side.asks, self._asks)
        ctx.set(self.side.busy, self._left > 0)

    def sample(self, ctx: SimulatorContext, cycle: int) -> None:
        # Like a dispatcher, it takes the next command in the middle of a frame.
        starts = self._asks and bool(ctx.get(self.side.may_start)) and self._left <= 3
        ctx.set(self.side.started, starts)
        self._left = max(self._left - 1, 0)
        if starts:
            self.started_at.append(cycle)
            self._asks = False
            self._waits.pop(0)
            self._left += self._lengths.pop(0)


def take_turns(jobs: dict[str, tuple[list[int], list[int]]]) -> dict[str, Job]:
    """Run both directions to their ends; never may both be busy, nor one start when it is not its turn."""
    dut = Turns()
    sides = {name: Job(getattr(dut, name), *jobs[name]) for name in DIRECTIONS}

    async def testbench(ctx: SimulatorContext) -> None:
        for cycle in range(5000):
            if all(side.done for side in sides.values()):
                return
            for side in sides.values():
                side.drive(ctx, cycle)
            for side in sides.values():
                side.sample(ctx, cycle)
            owner = DIRECTIONS[ctx.get(dut.decoder_owns)]
            for name, side in sides.items():
                assert name == owner or not (ctx.get(side.side.busy) or ctx.get(side.side.started))
            await ctx.tick()
        raise AssertionError("a direction waits for ever")

    simulate(dut, testbench)
    return sides


@pytest.mark.parametrize("seed", range(6))
def test_no_direction_runs_in_the_other_s_turn_and_none_waits_for_more_than_a_frame(seed: int) -> None:
    rng = random.Random(seed)
    jobs = {
        name: ([rng.choice([0, 0, 1, 5, 40]) for _ in range(30)], [rng.randint(1, 25) for _ in range(30)])
        for name in DIRECTIONS
    }
    sides = take_turns(jobs)
    for name, other in (("encoder", "decoder"), ("decoder", "encoder")):
        for asked, started in zip(sides[name].asked_at, sides[name].started_at, strict=True):
            assert sum(asked + 1 < at < started for at in sides[other].started_at) <= 1


def test_directions_that_always_ask_alternate() -> None:
    sides = take_turns({name: ([0] * 20, [7] * 20) for name in DIRECTIONS})
    order = sorted((at, name) for name, side in sides.items() for at in side.started_at)
    names = [name for _, name in order]
    assert names == ["encoder", "decoder"] * 20


def test_a_direction_alone_never_waits_and_an_idle_codec_changes_turn_in_the_cycles_of_the_constant() -> None:
    alone = take_turns({"encoder": ([0] * 10, [4] * 10), "decoder": ([], [])})["encoder"]
    assert alone.asked_at == alone.started_at[:1] + [at + 1 for at in alone.started_at[:-1]]
    other = take_turns({"encoder": ([], []), "decoder": ([10] * 3, [4] * 3)})["decoder"]
    assert [b - a for a, b in zip(other.asked_at, other.started_at, strict=True)] == [Turns.CHANGE_LATENCY, 0, 0]


async def load(ctx: SimulatorContext, dut: Codec, tables: Tables) -> None:
    """The tables of both directions into bank 0."""
    ports = {name: getattr(dut, name).load for name in DIRECTIONS}
    words = [Source(ports[n], load_payloads(SHARED, image_of(n, SHARED, tables.sites))) for n in DIRECTIONS]
    await Bench(ctx, *words).until(lambda: all(source.done for source in words))
    for port in ports.values():
        ctx.set(port.valid, 0)


@pytest.mark.parametrize(("input_stall", "output_stall"), [(0.0, 0.0), (0.3, 0.3)])
def test_both_directions_give_the_golden_output_in_turns_and_the_cycles_of_the_formula(
    input_stall: float, output_stall: float
) -> None:
    tables, dut = tables_of(SHARED, 3), Codec(SHARED)

    async def testbench(ctx: SimulatorContext) -> None:
        sides = {
            name: SimpleNamespace(direction=direction, dut=getattr(dut, name), ctx=ctx)
            for name, direction in (("encoder", ENCODER), ("decoder", DECODER))
        }
        await load(ctx, dut, tables)
        runs = [
            Run(side, frames_of(tables, seed), input_stall, output_stall, seed)  # type: ignore[arg-type]
            for seed, side in enumerate(sides.values())
        ]
        bench = Bench(ctx, *(stream for run in runs for stream in run.bench.streams))
        await bench.until(
            lambda: all(run.starts.done and run.inputs.done and len(run.outputs.taken) >= run.expected for run in runs)
        )
        await bench.step(40)
        for run in runs:
            run.check()
            if not input_stall:
                measured = np.array(run.cycles())
                assert (measured[:, 0] == measured[:, 1]).all()
        # The starts of the two directions alternate: each waits for one frame of the other.
        order = sorted((at, n) for n, run in enumerate(runs) for at in run.starts.taken_at)
        if not input_stall:
            assert [n for _, n in order] == [0, 1] * len(tables.sites)

    simulate(dut, testbench)


@pytest.mark.parametrize("refused", DIRECTIONS)
def test_refused_jobs_hold_no_turn(refused: Any) -> None:
    tables, dut = tables_of(SHARED, 3), Codec(SHARED)
    other = DIRECTIONS[1 - DIRECTIONS.index(refused)]
    direction = {"encoder": ENCODER, "decoder": DECODER}[other]
    job = job_layout(SHARED)
    # A bank without tables, and a window without a row.
    jobs = [pack_fields(job, bank=1), pack_fields(job, window=1, count=1, stride=1)] * 10

    async def testbench(ctx: SimulatorContext) -> None:
        await load(ctx, dut, tables)
        side = getattr(dut, refused)
        asks, errors = Source(side.start, jobs), Strobes(side.errors)
        run = Run(SimpleNamespace(direction=direction, dut=getattr(dut, other), ctx=ctx), frames_of(tables, 1), 0, 0, 1)  # type: ignore[arg-type]
        bench = Bench(ctx, asks, errors, *run.bench.streams)
        await bench.until(lambda: asks.done and run.starts.done and len(run.outputs.taken) >= run.expected)
        await bench.step(40)
        run.check()
        assert errors.counts["bad_site"] == errors.counts["bad_window"] == len(jobs) // 2 and not ctx.get(side.busy)
        measured = np.array(run.cycles())
        assert (measured[:, 0] == measured[:, 1]).all()

    simulate(dut, testbench)
