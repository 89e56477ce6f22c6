"""Whatever goes wrong at the ports is flagged, and what comes after it is right: random scenarios, in the simulator."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from amaranth.hdl import ResetInserter, Signal, Value
from amaranth.sim import SimulatorContext

from actcodec.params import CodecParams, load_params
from actcodec_rtl.decoder import Decoder
from actcodec_rtl.encoder import Encoder
from actcodec_sim.cosim.mishaps import Part, scenario
from support.frames import FOLDED, tables_of
from support.streams import Bench, Sink, Source, Strobes, simulate

DIRECTIONS: dict[str, Callable[[CodecParams], Any]] = {"encoder": Encoder, "decoder": Decoder}
WATCHDOG = 6000


class Stage:
    """One direction in the simulator, going through a scenario."""

    def __init__(self, ctx: SimulatorContext, dut: Any, reset: Signal) -> None:
        self._ctx, self._dut, self._reset = ctx, dut, reset

    async def play(self, part: Part, stall: float, cut: int | None, rng: random.Random) -> None:
        """Load, run all jobs while images are loaded, and compare; or stop in the middle and reset."""
        dut = self._dut
        tables = Source(dut.load, part.tables)
        await Bench(self._ctx, tables).until(lambda: tables.done)
        seeds = [rng.getrandbits(32) for _ in range(4)]
        load = Source(dut.load, part.background, stall, seeds[0])
        start = Source(dut.start, part.starts, stall, seeds[1])
        inputs = Source(dut.i, part.inputs, stall, seeds[2])
        outputs = Sink(dut.o, stall, seeds[3])
        errors, done = Strobes(dut.errors), Strobes(dut.done)
        bench = Bench(self._ctx, load, start, inputs, outputs, errors, done)
        if cut is None:
            await bench.until(
                lambda: (
                    load.done
                    and start.done
                    and inputs.done
                    and done.counts.get("") == part.done
                    and len(outputs.taken) == len(part.outputs)
                ),
                limit=WATCHDOG,
            )
            outputs.stall = 0.0
            await bench.step(20)
            assert len(outputs.taken) == len(part.outputs)
            assert errors.counts == part.errors and done.counts[""] == part.done
            assert not self._ctx.get(dut.busy)
        else:
            await bench.step(cut)
            for name in ("load", "start", "i"):
                self._ctx.set(getattr(dut, name).valid, 0)
            self._ctx.set(self._reset, 1)
            await self._ctx.tick()
            self._ctx.set(self._reset, 0)
            assert not self._ctx.get(dut.busy) and not self._ctx.get(Value.cast(dut.errors))
            assert len(outputs.taken) <= len(part.outputs)
        for n, value in enumerate(outputs.taken):
            assert value & part.masks[n] == part.outputs[n] & part.masks[n], f"output {n} of {len(part.outputs)}"


BUILDS = {"tiny": (load_params("tiny"), 1, 12), "default": (load_params("default"), 3, 5), "folded": (FOLDED, 2, 16)}


@pytest.mark.parametrize(
    ("name", "build"),
    # The decoder of a folded build is that of any other.
    [(name, build) for build in BUILDS for name in DIRECTIONS if (name, build) != ("decoder", "folded")],
)
def test_a_scenario_of_mishaps(name: str, build: str) -> None:
    params, seed, phases = BUILDS[build]
    reset, rng = Signal(), random.Random(seed)
    dut = DIRECTIONS[name](params)

    async def testbench(ctx: SimulatorContext) -> None:
        stage = Stage(ctx, dut, reset)
        for phase in scenario(tables_of(params, 0), seed, phases):
            await stage.play(getattr(phase, name), phase.stall, phase.cut, rng)

    simulate(ResetInserter(reset)(dut), testbench)
