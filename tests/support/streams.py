"""Drivers and monitors of valid/ready streams for Amaranth's simulator."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from amaranth.sim import SimulatorContext


async def send(ctx: SimulatorContext, stream: Any, payloads: Sequence[Any], stall: float, rng: random.Random) -> None:
    """Offer the payloads in order; before each one, wait a cycle with probability ``stall``."""
    for payload in payloads:
        while rng.random() < stall:
            await ctx.tick()
        ctx.set(stream.payload, payload)
        ctx.set(stream.valid, 1)
        await ctx.tick().until(stream.ready)
        ctx.set(stream.valid, 0)


async def receive(
    ctx: SimulatorContext, stream: Any, count: int, stall: float, rng: random.Random, sample: Any
) -> list[Any]:
    """Take ``count`` payloads, each read with ``sample``; be unready in a cycle with probability ``stall``.

    Checks that an offered payload stays as it is until it is taken.
    """
    taken: list[Any] = []
    offered: Any = None
    while len(taken) < count:
        ready = rng.random() >= stall
        ctx.set(stream.ready, ready)
        _, _, valid, value = await ctx.tick().sample(stream.valid, sample(stream.payload))
        if offered is not None:
            assert valid and value == offered, "payload changed or valid fell before it was taken"
        offered = value if valid and not ready else None
        if valid and ready:
            taken.append(value)
    ctx.set(stream.ready, 0)
    return taken
