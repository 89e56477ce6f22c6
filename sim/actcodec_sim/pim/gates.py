"""Zero-delay simulation of a gate netlist that counts how often every net changes, 64 runs beside each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actcodec.errors import ActcodecError
from actcodec_rtl.synth.gates import FLIP_FLOP
from actcodec_rtl.synth.netlist import ENABLED_FLIP_FLOP

LANES = 64
"""Runs beside each other: one a bit of a word."""
Words = NDArray[np.uint64]
_Function = Callable[..., Words]

FUNCTIONS: dict[str, tuple[str, _Function]] = {
    "$_BUF_": ("A", lambda a: a),
    "$_NOT_": ("A", lambda a: ~a),
    "$_AND_": ("AB", lambda a, b: a & b),
    "$_NAND_": ("AB", lambda a, b: ~(a & b)),
    "$_OR_": ("AB", lambda a, b: a | b),
    "$_NOR_": ("AB", lambda a, b: ~(a | b)),
    "$_XOR_": ("AB", lambda a, b: a ^ b),
    "$_XNOR_": ("AB", lambda a, b: ~(a ^ b)),
    "$_MUX_": ("ABS", lambda a, b, s: a ^ ((a ^ b) & s)),
    "$_NMUX_": ("ABS", lambda a, b, s: ~(a ^ ((a ^ b) & s))),
    "$_AOI3_": ("ABC", lambda a, b, c: ~((a & b) | c)),
    "$_OAI3_": ("ABC", lambda a, b, c: ~((a | b) & c)),
    "$_AOI4_": ("ABCD", lambda a, b, c, d: ~((a & b) | (c & d))),
    "$_OAI4_": ("ABCD", lambda a, b, c, d: ~((a | b) & (c | d))),
}
"""Input pins and function of every gate; its output pin is Y."""


@dataclass(frozen=True)
class _Level:
    """Gates of one kind that can be evaluated together."""

    function: _Function
    inputs: tuple[NDArray[np.int64], ...]
    output: NDArray[np.int64]


class GateSimulator:
    """A netlist (`gate_netlist`) in motion: nets are numbers, net 0 is the constant 0 and net 1 the constant 1.

    ``toggles`` counts for every net how often it changed from one cycle to the next, all runs together; ``clocked``
    for every flip-flop in how many cycles it was enabled. Glitches within a cycle are not seen. Everything begins at 0.
    """

    def __init__(self, module: Mapping[str, Any]) -> None:
        self._numbers: dict[int | str, int] = {"0": 0, "1": 1, "x": 0}
        self.ports = {
            name: (port["direction"] == "input", np.array([self._net(bit) for bit in port["bits"]]))
            for name, port in module["ports"].items()
        }
        self.cells: dict[str, tuple[str, dict[str, int]]] = {}
        for name, cell in module["cells"].items():
            pins = {pin: self._net(bits[0]) for pin, bits in cell["connections"].items()}
            self.cells[name] = (cell["type"], pins)
        flip_flops = [(name, kind, pins) for name, (kind, pins) in self.cells.items() if kind not in FUNCTIONS]
        for name, kind, _ in flip_flops:
            if kind not in (FLIP_FLOP, ENABLED_FLIP_FLOP):
                raise ActcodecError(name, f"is a {kind}, which the gate simulator does not know")
        self.flip_flops = [name for name, _, _ in flip_flops]
        self._q, self._d = (np.array([pins[pin] for _, _, pins in flip_flops], np.int64) for pin in "QD")
        self._enable = np.array([pins.get("E", 1) for _, _, pins in flip_flops], np.int64)
        self._levels = self._levelled()
        self.values = np.zeros(len(self._numbers), np.uint64)
        self.values[1] = ~np.uint64(0)
        self._settle()
        self.forget()

    def forget(self) -> None:
        """Count from here on."""
        self._before = self.values.copy()
        self.toggles = np.zeros(len(self.values), np.int64)
        self.clocked = np.zeros(len(self.flip_flops), np.int64)
        self.cycles = 0

    def drive(self, port: str, value: Words | int) -> None:
        """Set an input: a word a bit with a run a bit of it, or one integer for all runs."""
        nets = self.ports[port][1]
        if isinstance(value, int):
            value = np.array([~np.uint64(0) if value >> n & 1 else np.uint64(0) for n in range(len(nets))], np.uint64)
        self.values[nets] = value

    def read(self, port: str) -> Words:
        """The bits of a port, a word each."""
        bits: Words = self.values[self.ports[port][1]]
        return bits

    def evaluate(self) -> None:
        """Let the gates follow the inputs of this cycle; outputs can be read afterwards."""
        self._settle()

    def tick(self) -> None:
        """Count this cycle's changes and give the clock edge; the next cycle's inputs come afterwards."""
        self.toggles += np.bitwise_count(self.values ^ self._before)
        np.copyto(self._before, self.values)
        enable = self.values[self._enable]
        self.clocked += np.bitwise_count(enable)
        q = self.values[self._q]
        self.values[self._q] = q ^ ((q ^ self.values[self._d]) & enable)
        self.cycles += 1

    def _net(self, bit: int | str) -> int:
        # Yosys' own numbers begin at 2; what is undefined is 0.
        return self._numbers.setdefault(bit, len(self._numbers) - 1)

    def _settle(self) -> None:
        values = self.values
        for level in self._levels:
            values[level.output] = level.function(*(values[net] for net in level.inputs))

    def _levelled(self) -> list[_Level]:
        """Gates in an order in which every one comes after those that drive it, alike ones together."""
        drivers = {pins["Y"]: (kind, pins) for kind, pins in self.cells.values() if kind in FUNCTIONS}
        depth: dict[int, int] = {}
        for net in drivers:
            waiting = [net]
            while waiting:
                kind, pins = drivers[waiting[-1]]
                inputs = [pins[pin] for pin in FUNCTIONS[kind][0]]
                unknown = [source for source in inputs if source in drivers and source not in depth]
                if unknown:
                    if len(waiting) > len(drivers):
                        raise ActcodecError("gate netlist", "has a loop of gates")
                    waiting.extend(unknown)
                else:
                    depth[waiting.pop()] = 1 + max((depth.get(source, 0) for source in inputs), default=0)
        alike: dict[tuple[int, str], list[dict[str, int]]] = defaultdict(list)
        for net, (kind, pins) in drivers.items():
            alike[depth[net], kind].append(pins)
        return [
            _Level(
                FUNCTIONS[kind][1],
                tuple(np.array([pins[pin] for pins in members]) for pin in FUNCTIONS[kind][0]),
                np.array([pins["Y"] for pins in members]),
            )
            for (_, kind), members in sorted(alike.items())
        ]


def lanes(bits: NDArray[np.uint8]) -> Words:
    """Bits (64, …) of 64 runs as words (…), run 0 in the lowest bit."""
    packed = np.packbits(np.moveaxis(bits, 0, -1), axis=-1, bitorder="little")
    return np.ascontiguousarray(packed).view(np.uint64)[..., 0]


def unpacked(words: Words) -> NDArray[np.uint8]:
    """The inverse of `lanes`."""
    as_bytes = np.ascontiguousarray(words)[..., None].view(np.uint8)
    return np.moveaxis(np.unpackbits(as_bytes, axis=-1, bitorder="little"), -1, 0)
