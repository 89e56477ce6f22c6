"""Gate equivalents by block: every instance of the hierarchy, its own and with all below it.

The split comes from a run of its own in which each module is synthesised apart. The flattened run cannot give it: ABC
rebuilds the logic and forgets which block a gate came from. Apart, nothing is optimised across a border (constants into
a block, outputs nobody uses), so the parts add up to somewhat more than the flattened total; both are reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from actcodec_rtl.synth.elaborate import base_name, instances
from actcodec_rtl.synth.gates import Count, Gates
from actcodec_rtl.synth.memories import own_memories


@dataclass(frozen=True)
class Block:
    """An instance (path empty for the top): gates of its own and in all, bits of its own memories and of all."""

    path: str
    module: str
    own: Gates
    total: Gates
    own_memory_bits: int
    memory_bits: int

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "path": self.path,
            "module": self.module,
            "own": self.own.as_json(),
            "total": self.total.as_json(),
            "own_memory_bits": self.own_memory_bits,
            "memory_bits": self.memory_bits,
        }


def blocks(modules: Mapping[str, Any], counts: Mapping[str, Count], top: str) -> list[Block]:
    """The blocks of a design synthesised module by module, the top first, parents before children.

    ``modules`` is its netlist of words (Yosys' JSON, by name), ``counts`` every module's own count.
    """

    @cache
    def own_bits(module: str) -> int:
        return sum(memory.bits for memory in own_memories(modules[module]))

    @cache
    def total(module: str) -> tuple[Gates, int]:
        gates, bits = counts[module].gates, own_bits(module)
        for cell in modules[module]["cells"].values():
            if cell["type"] in modules:
                below = total(cell["type"])
                gates, bits = gates + below[0], bits + below[1]
        return gates, bits

    return [
        Block(path, base_name(module), counts[module].gates, total(module)[0], own_bits(module), total(module)[1])
        for path, module in [("", top), *instances(modules, top)]
    ]
