"""Drivers and monitors of valid/ready streams in Amaranth's simulator, all moved together cycle by cycle."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

from amaranth.hdl import Elaboratable, Value
from amaranth.lib.data import View
from amaranth.sim import Simulator, SimulatorContext


class Source:
    """Offers payloads in order; before each one waits a cycle with probability ``stall``. An offer stays until taken.

    While nothing is offered the payload is all ones, so that a block that looks at it then is found out.
    """

    def __init__(self, stream: Any, payloads: Iterable[int], stall: float = 0.0, seed: int = 0) -> None:
        self._stream, self._payload = stream, Value.cast(stream.payload)
        self._left = deque(payloads)
        self._rng = random.Random(f"source {seed}")
        self._offered = self._takes = False
        self.stall = stall
        self.taken_at: list[int] = []
        self.starved = 0
        """Cycles in which the block was ready and nothing was offered."""

    @property
    def done(self) -> bool:
        return not self._left

    def drive(self, ctx: SimulatorContext) -> None:
        if not self._offered:
            self._offered = bool(self._left) and self._rng.random() >= self.stall
            ctx.set(self._payload, self._left[0] if self._offered else (1 << len(self._payload)) - 1)
            ctx.set(self._stream.valid, self._offered)

    def sample(self, ctx: SimulatorContext) -> None:
        ready = bool(ctx.get(self._stream.ready))
        self._takes = ready and self._offered
        self.starved += ready and not self._offered

    def settle(self, cycle: int) -> None:
        if self._takes:
            self._left.popleft()
            self._offered = False
            self.taken_at.append(cycle)


class Sink:
    """Takes payloads; not ready in a cycle with probability ``stall``. Checks that an offer stays until taken."""

    def __init__(self, stream: Any, stall: float = 0.0, seed: int = 0) -> None:
        self._stream, self._payload = stream, Value.cast(stream.payload)
        self._rng = random.Random(f"sink {seed}")
        self._ready = False
        self._waiting: int | None = None
        self._takes: int | None = None
        self.stall = stall
        self.taken: list[int] = []
        self.taken_at: list[int] = []
        self.held = 0
        """Cycles in which something was offered and not taken."""

    def drive(self, ctx: SimulatorContext) -> None:
        self._ready = self._rng.random() >= self.stall
        ctx.set(self._stream.ready, self._ready)

    def sample(self, ctx: SimulatorContext) -> None:
        offer = int(ctx.get(self._payload)) if ctx.get(self._stream.valid) else None
        if self._waiting is not None:
            assert offer == self._waiting, f"{self._waiting:#x} was offered and not taken, then {offer}"
        self.held += offer is not None and not self._ready
        self._takes, self._waiting = (offer, None) if self._ready else (None, offer)

    def settle(self, cycle: int) -> None:
        if self._takes is not None:
            self.taken.append(self._takes)
            self.taken_at.append(cycle)


class Moved(Protocol):
    """What a `Bench` moves: everything is driven, then everything looked at, then the clock ticks."""

    def drive(self, ctx: SimulatorContext) -> None: ...
    def sample(self, ctx: SimulatorContext) -> None: ...
    def settle(self, cycle: int) -> None: ...


class Strobes:
    """Counts the cycles in which a signal, or each field of a struct, is 1."""

    def __init__(self, signal: Any) -> None:
        self._value = Value.cast(signal)
        self._layout = signal.shape() if isinstance(signal, View) else None
        self.counts: dict[str, int] = {}

    def drive(self, ctx: SimulatorContext) -> None:
        pass

    def sample(self, ctx: SimulatorContext) -> None:
        raw = int(ctx.get(self._value))
        found = {"": raw} if self._layout is None else fields(self._layout, raw)
        self.counts = {name: self.counts.get(name, 0) + value for name, value in found.items()}

    def settle(self, cycle: int) -> None:
        pass


class Bench:
    """Moves streams through the same clock cycles."""

    def __init__(self, ctx: SimulatorContext, *streams: Moved) -> None:
        self.ctx, self.streams = ctx, list(streams)
        self.cycle = 0

    async def step(self, cycles: int = 1) -> None:
        for _ in range(cycles):
            for stream in self.streams:
                stream.drive(self.ctx)
            for stream in self.streams:
                stream.sample(self.ctx)
            await self.ctx.tick()
            for stream in self.streams:
                stream.settle(self.cycle)
            self.cycle += 1

    async def until(self, done: Callable[[], bool], limit: int = 20_000) -> None:
        """Step until ``done()``; fail after ``limit`` cycles."""
        end = self.cycle + limit
        while not done():
            assert self.cycle < end, f"no end after {limit} cycles"
            await self.step()


def simulate(dut: Elaboratable, testbench: Callable[[SimulatorContext], Awaitable[None]], clocked: bool = True) -> None:
    """Run ``testbench`` on ``dut`` to its end."""
    simulator = Simulator(dut)
    if clocked:
        simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()


def fields(layout: Any, raw: int) -> dict[str, int]:
    """The fields of a packed struct as unsigned integers."""
    return {str(name): raw >> field.offset & ((1 << field.width) - 1) for name, field in layout}


def pack_fields(layout: Any, **values: int) -> int:
    """The struct with these unsigned fields, the others 0."""
    return sum(value << layout[name].offset for name, value in values.items())
