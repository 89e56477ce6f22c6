"""Single blocks of the codec in the simulator: packed payloads, and streams with something beside them."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from amaranth.hdl import Cat, Const, Elaboratable, Module, Signal, Value
from amaranth.lib.wiring import connect
from amaranth.sim import SimulatorContext

from actcodec.params import CodecParams, Direction
from actcodec_rtl.multipliers import Multipliers

STALLS = [(0.0, 0.0), (0.5, 0.0), (0.0, 0.6), (0.4, 0.4)]
"""Of inputs and of the output."""


def packed(layout: Any, values: Any) -> int:
    """The bits of a payload: nested dicts and lists of signed or unsigned integers."""
    const: Any = Const.cast(layout.const(values))
    return int(const.value) & ((1 << len(const)) - 1)


class Watch:
    """Looks at signals in every cycle of a `Bench`, once everything that moves in it is driven; give it last."""

    def __init__(self, look: Callable[[SimulatorContext], None]) -> None:
        self.sample = look

    def drive(self, ctx: SimulatorContext) -> None:
        """Nothing is driven."""

    def settle(self, cycle: int) -> None:
        """Nothing is remembered."""


class WithMultipliers(Elaboratable):
    """A MAC array with the multipliers of its direction, which are outside of it. Attributes are the array's."""

    def __init__(self, array: Any, params: CodecParams, direction: Direction) -> None:
        self.array, self._multipliers = array, Multipliers(params, direction)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.array, name)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.array, m.submodules.multipliers = self.array, self._multipliers
        connect(m, self.array.multipliers, self._multipliers.array)
        return m


class Beside(Elaboratable):
    """A block one of whose streams has ports beside it, valid with the stream's payload: all as one ``stream``.

    The ports' bits lie above the payload's, in their order. Other attributes are the block's.
    """

    def __init__(self, block: Any, stream: str, *ports: str) -> None:
        self.block, driven = block, getattr(block, stream)
        self._payload = Value.cast(driven.payload)
        self._ports = Cat(Value.cast(getattr(block, port)) for port in ports)
        together = Signal(len(self._payload) + len(self._ports))
        self.stream = SimpleNamespace(payload=together, valid=driven.valid, ready=driven.ready)
        self.payload_bits = len(self._payload)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.block, name)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.block = self.block
        together, bits = self.stream.payload, self.payload_bits
        m.d.comb += [self._payload.eq(together[:bits]), self._ports.eq(together[bits:])]
        return m
