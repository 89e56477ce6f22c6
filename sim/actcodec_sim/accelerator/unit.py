"""What runs at once on the accelerator: a layer, or a chain of layers fused depth first."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from actcodec.graph import Layer, LayerGraph, Read, Tensor


@dataclass(frozen=True, eq=False)
class Unit:
    """Layers ``first`` … ``stop`` − 1 of a graph. Of a chain, each but the last is read by the next one only."""

    graph: LayerGraph
    first: int
    stop: int

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The layers, in order."""
        return self.graph.layers[self.first : self.stop]

    @property
    def name(self) -> str:
        """Names of the layers, joined."""
        return " + ".join(layer.name for layer in self.layers)

    @cached_property
    def output(self) -> Tensor:
        """What the last layer writes."""
        return self.graph.by_name[self.layers[-1].output]

    @cached_property
    def inside(self) -> tuple[Tensor, ...]:
        """What goes from layer to layer."""
        return tuple(self.graph.by_name[layer.output] for layer in self.layers[:-1])

    @cached_property
    def inputs(self) -> tuple[Tensor, ...]:
        """Tensors from outside that some layer reads, each once."""
        own = {tensor.name for tensor in self.inside}
        names = (read.tensor for layer in self.layers for read in layer.reads if read.tensor not in own)
        return tuple(self.graph.by_name[name] for name in dict.fromkeys(names))

    @property
    def multiplies(self) -> bool:
        """Whether some layer has weights."""
        return any(layer.multiplies for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiplications of all layers."""
        return sum(layer.macs for layer in self.layers)

    @property
    def weight_bytes(self) -> int:
        """Bytes of all layers' weights in memory."""
        return sum(layer.weight_bytes for layer in self.layers)

    def made_rows(self, rows: range) -> list[range]:
        """Rows of each layer's output that have to be there when ``rows`` of the last one's are finished."""
        needed = [rows]
        for layer, tensor in zip(reversed(self.layers[1:]), reversed(self.inside), strict=True):
            parts = [_wanted(r, True, needed[0], tensor) for r in layer.reads if r.tensor == tensor.name]
            needed.insert(0, _union(parts))
        return needed

    def window(self, tensor: Tensor, rows: range, columns: range) -> tuple[range, range]:
        """Rows and columns of an input that these rows and columns of the output need.

        Of a chain, columns are those of the whole width.
        """
        made = self.made_rows(rows)
        found = [
            (_wanted(read, True, out, tensor), _wanted(read, False, columns, tensor))
            for layer, out in zip(self.layers, made, strict=True)
            for read in layer.reads
            if read.tensor == tensor.name and out
        ]
        wide = range(tensor.width) if len(self.layers) > 1 else _union([found_columns for _, found_columns in found])
        return _union([found_rows for found_rows, _ in found]), wide

    def positions(self, layer: int, rows: range) -> int:
        """Rows that layer ``layer`` computes for these rows of its stored output: more where pooling is fused."""
        tall, made = self.layers[layer].height, self.graph.by_name[self.layers[layer].output].height
        return rows.stop * tall // made - rows.start * tall // made if rows else 0

    def columns(self, columns: range) -> int:
        """Columns that the last layer computes for these columns of its stored output."""
        wide, made = self.layers[-1].width, self.output.width
        return columns.stop * wide // made - columns.start * wide // made


def units_of(graph: LayerGraph, *, fuse: bool) -> list[list[Unit]]:
    """For each layer the units that may begin with it: the layer alone and, with ``fuse``, an inverted residual."""
    return [
        [
            Unit(graph, first, first + length)
            for length in (1, 2, 3)
            if length == 1 or (fuse and _is_inverted(graph, first, length))
        ]
        for first in range(len(graph.layers))
    ]


def _is_inverted(graph: LayerGraph, first: int, length: int) -> bool:
    """Whether 1×1, depthwise, 1×1 (or the last two) begins here, each read by the next only and as computed."""
    layers = graph.layers[first : first + length]
    if len(layers) < length or layers[-2].kind != "depthwise" or layers[-1].kind != "conv":
        return False
    if layers[-1].kernel != (1, 1) or layers[-1].stride != (1, 1):
        return False
    if length == 3 and (layers[0].kind != "conv" or layers[0].kernel != (1, 1) or layers[0].stride != (1, 1)):
        return False
    for number, (layer, after) in enumerate(pairwise(layers), start=first):
        tensor = graph.by_name[layer.output]
        if graph.readers[layer.output] != (number + 1,) or (tensor.height, tensor.width) != (layer.height, layer.width):
            return False
        if after.reads[0].tensor != layer.output:
            return False
    return True


def _wanted(read: Read, of_rows: bool, out: range, tensor: Tensor) -> range:
    axis, size = (read.rows, tensor.height) if of_rows else (read.columns, tensor.width)
    return axis.wanted(out.start, out.stop, size)


def _union(parts: list[range]) -> range:
    """The smallest range that holds all parts; with their step where there is one part only."""
    kept = [part for part in dict.fromkeys(parts) if part]
    if len(kept) == 1:
        return kept[0]
    return range(min(p[0] for p in kept), max(p[-1] for p in kept) + 1) if kept else range(0)
