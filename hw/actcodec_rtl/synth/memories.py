"""Memories of a design, which no measurement of gates maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from actcodec_rtl.synth.elaborate import instances
from actcodec_rtl.synth.gates import MEMORY


@dataclass(frozen=True)
class Memory:
    """A memory: its name (a path, seen from the top), bits of a word, words, and ports."""

    name: str
    width: int
    depth: int
    read_ports: int
    write_ports: int

    @property
    def bits(self) -> int:
        """Width × depth."""
        return self.width * self.depth

    def as_json(self) -> dict[str, Any]:
        """All of it, with the bits."""
        shape = {"name": self.name, "width": self.width, "depth": self.depth, "bits": self.bits}
        return {**shape, "read_ports": self.read_ports, "write_ports": self.write_ports}


def _number(value: int | str) -> int:
    """A parameter in Yosys' JSON, where a number stands as its binary digits."""
    return value if isinstance(value, int) else int(value, 2)


def own_memories(module: Mapping[str, Any], prefix: str = "") -> list[Memory]:
    """The memories that a module of a netlist of words (Yosys' JSON) holds itself, ``prefix`` before their names."""
    found = []
    for cell, content in module["cells"].items():
        if content["type"] == MEMORY:
            width, depth, reads, writes = (
                _number(content["parameters"][name]) for name in ("WIDTH", "SIZE", "RD_PORTS", "WR_PORTS")
            )
            found.append(Memory(prefix + cell, width, depth, reads, writes))
    return found


def memories(modules: Mapping[str, Any], top: str) -> list[Memory]:
    """All memories of the netlist of words ``modules`` (Yosys' JSON, by name) below ``top``, parents first."""
    found = own_memories(modules[top])
    for path, module in instances(modules, top):
        found += own_memories(modules[module], f"{path}.")
    return found
