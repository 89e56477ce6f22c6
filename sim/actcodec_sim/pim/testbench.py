"""The cocotb tests of the macro that run inside the simulator: one job, twice.

Pass 1, `batches_one_by_one`: inputs always valid, results always taken; measures cycles.
Pass 2, `batches_under_stalls`: random stalls on every port.
"""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly

from actcodec_sim.cosim.drivers import Fields, Sink, Source
from actcodec_sim.pim.cosim import JOB_FILE, JOB_VARIABLE, PORTS_VARIABLE, RESULT_FILE

CLOCK_NS = 10
RESET_CYCLES = 4
DRAIN_CYCLES = 16
"""Cycles without a result after the last one that show that nothing is left over."""
MODE_BITS = ("weight_bits", "input_bits", "weight_signed", "input_signed")


class Bench:
    """Clock, reset and the three streams."""

    def __init__(self, dut: Any) -> None:
        self._dut = dut
        self.folder = Path(os.environ[JOB_VARIABLE])
        self.job = json.loads((self.folder / JOB_FILE).read_text())
        ports = {port["name"]: port for port in json.loads(os.environ[PORTS_VARIABLE])["ports"]}
        self._fields = {name: Fields(ports[f"{name}_payload"]) for name in ("weights", "i", "o")}
        rng = random.Random(self.job["seed"])
        self._weights, self._source = Source(dut, "weights", rng), Source(dut, "i", rng)
        self._sink = Sink(dut, "o", rng)
        self._rng = rng

    async def reset(self) -> None:
        """Reset the macro; cells and data registers stay undefined."""
        self._dut.rst.value = 1
        for name in ("weights", "i"):
            getattr(self._dut, f"{name}_payload").value = 0
        Clock(self._dut.clk, CLOCK_NS, unit="ns").start()
        for _ in range(RESET_CYCLES):
            await FallingEdge(self._dut.clk)
        self._dut.rst.value = 0

    def _words(self, batch: dict[str, Any]) -> list[int]:
        """The words of all vectors; the mode beside all but the first word of one is any."""
        words = []
        for vector in batch["vectors"]:
            for number, word in enumerate(vector):
                mode = {name: batch["mode"][name] for name in MODE_BITS}
                if number:
                    mode = {name: self._rng.getrandbits(self._fields["i"].bits(f"mode.{name}")) for name in MODE_BITS}
                fields = {f"mode.{name}": value for name, value in mode.items()}
                words.append(self._fields["i"].pack(data=int(word, 16), **fields))
        return words

    async def _load(self, batch: dict[str, Any], stall: float) -> None:
        """Write all rows of cells, in any order."""
        rows = [self._fields["weights"].pack(row=n, data=int(row, 16)) for n, row in enumerate(batch["rows"])]
        self._rng.shuffle(rows)
        self._weights.begin(rows, stall)
        while not self._weights.empty:
            await FallingEdge(self._dut.clk)
            self._weights.drive()
            await ReadOnly()
            self._weights.sample()
        await FallingEdge(self._dut.clk)
        self._weights.drive()

    async def run(
        self, batch: dict[str, Any], input_stall: float = 0, output_stall: float = 0
    ) -> tuple[int, list[int]]:
        """A batch: cycles from the first word to the last result, both included, and the results without ``last``."""
        await self._load(batch, input_stall)
        last = self._fields["o"].pack(last=1)
        each, bits = batch["beats_each"], len(batch["vectors"][0])
        expected = [int(beat, 16) | (last if n % each == each - 1 else 0) for n, beat in enumerate(batch["beats"])]
        self._source.begin(self._words(batch), input_stall)
        self._sink.begin(output_stall)
        stall = max(input_stall, output_stall)
        limit = int((batch["cycles"] + 64) * (2 + 8 * stall / (1 - stall))) + 100
        first = final = quiet = 0
        for cycle in range(limit):
            await FallingEdge(self._dut.clk)
            self._source.drive()
            self._sink.drive()
            await ReadOnly()
            begun = -(-self._source.taken // bits)
            assert int(self._dut.busy.value) == (len(self._sink.taken) < begun * each), (
                f"{batch['name']}: busy is {self._dut.busy.value} after {begun} vectors begun"
            )
            if self._source.sample() and self._source.taken == 1:
                first = cycle
            if self._sink.sample():
                final, quiet = cycle, 0
            done = self._source.empty and len(self._sink.taken) >= len(expected)
            quiet = quiet + 1 if done else 0
            if quiet > DRAIN_CYCLES:
                break
        else:
            raise AssertionError(f"timeout after {limit} cycles in {batch['name']}: {len(self._sink.taken)} results")
        taken = self._sink.taken
        for number, (got, wanted) in enumerate(zip(taken, expected, strict=False)):
            assert got == wanted, f"{batch['name']}, result {number}: got {got:#x}, expected {wanted:#x}"
        assert len(taken) == len(expected), f"{batch['name']}: {len(taken)} results, expected {len(expected)}"
        return final - first + 1, [beat & ~last for beat in taken]


@cocotb.test(timeout_time=10, timeout_unit="sec")
async def batches_one_by_one(dut: Any) -> None:
    """Every batch alone: equality of every result, cycles as predicted."""
    bench = Bench(dut)
    await bench.reset()
    results = []
    for batch in bench.job["batches"]:
        cycles, taken = await bench.run(batch)
        assert cycles == batch["cycles"], f"{batch['name']}: {cycles} cycles, predicted {batch['cycles']}"
        results.append({"cycles": cycles, "taken": [f"{beat:x}" for beat in taken]})
    (bench.folder / RESULT_FILE).write_text(json.dumps({"batches": results}))


@cocotb.test(timeout_time=10, timeout_unit="sec")
async def batches_under_stalls(dut: Any) -> None:
    """All batches under random stalls of the job's probabilities: equality of every result."""
    bench = Bench(dut)
    await bench.reset()
    stalls = bench.job["stalls"]
    total = 0
    for batch in bench.job["batches"]:
        cycles, _ = await bench.run(batch, stalls["input"], stalls["output"])
        total += cycles
    path = bench.folder / RESULT_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), "stalled_cycles": total}))
