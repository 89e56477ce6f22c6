"""AXI4-Lite and AXI4-Stream ports as the valid/ready streams that `support.streams` moves."""

from __future__ import annotations

import random
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from amaranth.hdl import Cat
from amaranth.sim import SimulatorContext

from support.streams import Bench, Sink, Source

OKAY, SLVERR = 0b00, 0b10


def channel(bus: Any, name: str, *payload: str) -> SimpleNamespace:
    """One channel of a bus, its payload members side by side, first one lowest."""
    return SimpleNamespace(
        payload=Cat(getattr(bus, f"{name}{member}") for member in payload),
        valid=getattr(bus, f"{name}valid"),
        ready=getattr(bus, f"{name}ready"),
    )


def axis(bus: Any) -> SimpleNamespace:
    """AXI4-Stream: data, keep, last."""
    return channel(bus, "t", "data", "keep", "last")


class Lite:
    """A manager on an AXI4-Lite port: batches of writes and reads, every channel with its own random stalls."""

    def __init__(self, bus: Any, *others: Source | Sink) -> None:
        self._bus, self._others = bus, others
        self.ctx: SimulatorContext

    def _ports(self, rng: random.Random, stalls: dict[str, float], **payloads: Sequence[int]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        members = {"aw": ("addr", "prot"), "w": ("data", "strb"), "b": ("resp",), "ar": ("addr", "prot")}
        for name in ("aw", "w", "b", "ar", "r"):
            port = channel(self._bus, name, *members.get(name, ("data", "resp")))
            stall, seed = stalls.get(name, 0.0), rng.getrandbits(32)
            sink = name in ("b", "r")
            found[name] = Sink(port, stall, seed) if sink else Source(port, payloads.get(name, ()), stall, seed)
        return found

    async def access(
        self,
        writes: Sequence[tuple[int, int, int]] = (),
        reads: Sequence[int] = (),
        seed: int = 0,
        **stalls: float,
    ) -> tuple[list[int], list[tuple[int, int]]]:
        """Responses of writes (address, data, strobe) and (data, response) of reads, both streams side by side."""
        ports = self._ports(
            random.Random(seed),
            stalls,
            aw=[address | seed % 8 << 12 for address, _, _ in writes],
            w=[data | strobe << 32 for _, data, strobe in writes],
            ar=list(reads),
        )
        bench = Bench(self.ctx, *ports.values(), *self._others)
        await bench.until(lambda: len(ports["b"].taken) == len(writes) and len(ports["r"].taken) == len(reads))
        await bench.step(4)
        assert len(ports["b"].taken) == len(writes) and len(ports["r"].taken) == len(reads)
        return ports["b"].taken, [(word & 0xFFFFFFFF, word >> 32) for word in ports["r"].taken]

    async def write(self, address: int, data: int, strobe: int = 15) -> int:
        return (await self.access([(address, data, strobe)]))[0][0]

    async def read(self, address: int) -> int:
        data, response = (await self.access(reads=[address]))[1][0]
        assert response == OKAY, hex(address)
        return data
