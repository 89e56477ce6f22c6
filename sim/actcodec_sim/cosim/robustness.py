"""The cocotb test of mishaps that runs inside the simulator: the phases of a scenario on encoder and decoder.

A phase ends when everything was taken and every frame is done; then all outputs, flags and ends of frames must be those
expected and nothing more may come. Or it ends in a reset, up to which the outputs must be the first of those expected.
A watchdog ends a phase that does not come to its end.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly

from actcodec_sim.cosim.drivers import Fields, Sink, Source
from actcodec_sim.cosim.job import JOB_FILE, JOB_VARIABLE

CLOCK_NS = 10
QUIET_CYCLES = 24
"""Cycles in which nothing more may come."""
WATCHDOG_CYCLES = 2000
WATCHDOG_CYCLES_EACH = 24
"""A phase may take so many cycles, and so many for each of its payloads, longer where there are stalls."""


class Direction:
    """Encoder or decoder and what has to come out of it in the present phase."""

    def __init__(self, dut: Any, name: str, ports: dict[str, Any], rng: random.Random) -> None:
        self.name = name
        self.start, self.load, self.source = (Source(dut, f"{name}_{port}", rng) for port in ("start", "load", "i"))
        self.sink = Sink(dut, f"{name}_o", rng)
        self._errors, self._done, self._busy = (getattr(dut, f"{name}_{port}") for port in ("errors", "done", "busy"))
        self._error_fields = Fields(ports[f"{name}_errors"])
        self._part: dict[str, Any] = {}
        self._flags: Counter[str] = Counter()

    def begin(self, part: dict[str, Any], stall: float) -> None:
        """Begin a phase: offer all of it."""
        self._part, self._flags = part, Counter()
        self.load.begin(part["background"], stall)
        self.start.begin(part["starts"], stall)
        self.source.begin(part["inputs"], stall)
        self.sink.begin(stall)

    def drive(self) -> None:
        """Set the inputs of the coming rising edge."""
        for port in (self.load, self.start, self.source, self.sink):
            port.drive()

    def sample(self) -> None:
        """Read what the coming rising edge commits."""
        for port in (self.load, self.start, self.source, self.sink):
            port.sample()
        self._flags.update(self._error_fields.unpack(self._errors.value.to_unsigned()))
        self._flags["done"] += int(self._done.value)

    def withdraw(self) -> None:
        """Take back whatever is on offer."""
        for port in (self.load, self.start, self.source):
            port.withdraw()

    @property
    def complete(self) -> bool:
        """Everything was taken, and as much came out as has to."""
        taken = self.load.empty and self.start.empty and self.source.empty
        return taken and self._flags["done"] >= self._part["done"] and not int(self._busy.value)

    def check_outputs(self, phase: int) -> None:
        """What has come out so far is the first of what has to."""
        expected, masks = self._part["outputs"], self._part["masks"]
        assert len(self.sink.taken) <= len(expected), f"{self.name}, phase {phase}: more outputs than {len(expected)}"
        for n, value in enumerate(self.sink.taken):
            got, wanted = value & masks[n], expected[n] & masks[n]
            assert got == wanted, f"{self.name}, phase {phase}, output {n}: got {got:#x}, expected {wanted:#x}"

    def check_end(self, phase: int) -> None:
        """All outputs are there, and the flags are those expected."""
        self.check_outputs(phase)
        got, wanted = len(self.sink.taken), len(self._part["outputs"])
        assert got == wanted, f"{self.name}, phase {phase}: {got} of {wanted} outputs"
        expected = Counter(self._part["errors"], done=self._part["done"])
        assert self._flags == expected, f"{self.name}, phase {phase}: {dict(self._flags)}, expected {dict(expected)}"


class Bench:
    """Clock, reset and both directions."""

    def __init__(self, dut: Any, job: dict[str, Any]) -> None:
        self._dut = dut
        ports = {port["name"]: port for port in json.loads(os.environ["ACTCODEC_COSIM_PORTS"])["ports"]}
        self._rng = random.Random(job["seed"])
        self.directions = [Direction(dut, name, ports, self._rng) for name in ("encoder", "decoder")]
        for direction in self.directions:
            for port in ("start", "load", "i"):
                getattr(dut, f"{direction.name}_{port}_payload").value = 0
            getattr(dut, f"{direction.name}_clear").value = 0

    async def reset(self) -> None:
        """Reset for a few cycles."""
        self._dut.rst.value = 1
        for _ in range(self._rng.randint(1, 3)):
            await FallingEdge(self._dut.clk)
        self._dut.rst.value = 0

    async def cycle(self) -> None:
        """One clock cycle."""
        for direction in self.directions:
            direction.drive()
        await ReadOnly()
        for direction in self.directions:
            direction.sample()
        await FallingEdge(self._dut.clk)

    async def load(self, phase: dict[str, Any]) -> None:
        """Load the tables that the phase begins with, and nothing beside it."""
        nothing = {"background": [], "starts": [], "inputs": [], "outputs": [], "masks": [], "done": 0}
        for direction in self.directions:
            direction.begin({**nothing, "background": phase[direction.name]["tables"]}, 0.0)
        while not all(direction.load.empty for direction in self.directions):
            await self.cycle()

    async def run(self, number: int, phase: dict[str, Any]) -> None:
        """Run one phase to its end, or to its reset."""
        await self.load(phase)
        for direction in self.directions:
            direction.begin(phase[direction.name], phase["stall"])
        payloads = sum(
            len(phase[d.name][port]) for d in self.directions for port in ("background", "inputs", "outputs")
        )
        limit = int((WATCHDOG_CYCLES + WATCHDOG_CYCLES_EACH * payloads) / (1 - phase["stall"]))
        for _ in range(limit if phase["cut"] is None else phase["cut"]):
            await self.cycle()
            if phase["cut"] is None and all(direction.complete for direction in self.directions):
                break
        else:
            assert phase["cut"] is not None, f"phase {number} does not end"
            for direction in self.directions:
                direction.check_outputs(number)
                direction.withdraw()
            await self.reset()
            return
        for _ in range(QUIET_CYCLES):
            await self.cycle()
        for direction in self.directions:
            direction.check_end(number)


@cocotb.test(timeout_time=100, timeout_unit="ms")
async def mishaps(dut: Any) -> None:
    """All phases of the scenario, one after another."""
    job = json.loads((Path(os.environ[JOB_VARIABLE]) / JOB_FILE).read_text())
    bench = Bench(dut, job)
    Clock(dut.clk, CLOCK_NS, unit="ns").start()
    await FallingEdge(dut.clk)
    await bench.reset()
    for number, phase in enumerate(job["phases"]):
        await bench.run(number, phase)
    dut._log.info(f"{len(job['phases'])} phases, {sum(phase['cut'] is not None for phase in job['phases'])} resets")
