"""A network as layers that read and write tensors, in execution order.

A layer is one fused group: the operation that computes (a convolution, say) and everything that is done with its result
in place (addition, activation, pooling). Only what leaves a group is a tensor. What a layer reads of a tensor is given
by a window an axis, relative to the rows and columns of the layer's *stored* output: fused pooling is part of it.
"""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from actcodec.errors import ActcodecError
from actcodec.files import read_json, write_json
from actcodec.params import validation_problem

SCHEMA = "actcodec-graph"
VERSION = 1

LayerKind = Literal["conv", "depthwise", "grouped", "linear", "pool", "add", "other"]
Role = Literal["operand", "shortcut"]

Side = Annotated[int, Field(ge=1, le=65536)]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Axis(_Part):
    """Rows (or columns) o·stride − pad … o·stride − pad + kernel − 1 are read for row (column) o of the output."""

    kernel: Side = 1
    stride: Side = 1
    pad: Annotated[int, Field(ge=-65536, le=65536)] = 0

    def then(self, after: Axis) -> Axis:
        """The window of an operation with window ``after`` on what one with this window made."""
        return Axis(
            kernel=(after.kernel - 1) * self.stride + self.kernel,
            stride=after.stride * self.stride,
            pad=after.pad * self.stride + self.pad,
        )

    def wanted(self, first: int, stop: int, size: int) -> range:
        """Positions of 0…size − 1 that outputs ``first``…``stop`` − 1 read.

        One in ``stride`` where the window is a single position, otherwise all from the first to the last.
        """
        low, high = first * self.stride - self.pad, (stop - 1) * self.stride - self.pad + self.kernel
        if self.kernel > 1 or self.stride == 1:
            return range(max(0, low), max(min(size, high), max(0, low)))
        while low < 0:
            low += self.stride
        return range(low, max(min(size, high), low), self.stride)


class Tensor(_Part):
    """``channels`` × ``height`` × ``width`` 8-bit values; ``site``: its name in a codec's tables, None where it has
    none (the network's input and output, and what is made by other layers than convolutions).
    """

    name: Name
    channels: Annotated[int, Field(ge=1, le=1 << 24)]
    height: Side
    width: Side
    site: Name | None = None

    @property
    def values(self) -> int:
        """Values of one image."""
        return self.channels * self.height * self.width


class Read(_Part):
    """A tensor that a layer reads: as operand of its operation, or as shortcut that is added to the result."""

    tensor: Name
    role: Role = "operand"
    rows: Axis = Axis()
    columns: Axis = Axis()


class Layer(_Part):
    """One fused group.

    ``kernel``, ``stride`` and ``padding`` (rows, columns) are those of the operation; ``height`` × ``width`` positions
    of ``outputs`` channels are computed, from ``inputs`` channels in ``groups``, and leave as ``output`` after what is
    in ``fused``. ``weight_bytes``: 8-bit weights, without biases.
    """

    name: Name
    kind: LayerKind
    reads: Annotated[tuple[Read, ...], Field(min_length=1)]
    output: Name
    inputs: Annotated[int, Field(ge=1, le=1 << 24)]
    outputs: Annotated[int, Field(ge=1, le=1 << 24)]
    height: Side
    width: Side
    kernel: tuple[Side, Side] = (1, 1)
    stride: tuple[Side, Side] = (1, 1)
    padding: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]] = (0, 0)
    groups: Annotated[int, Field(ge=1)] = 1
    macs: Annotated[int, Field(ge=0)] = 0
    weight_bytes: Annotated[int, Field(ge=0)] = 0
    fused: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.inputs % self.groups or self.outputs % self.groups:
            raise ValueError(f"groups = {self.groups} do not divide {self.inputs} inputs and {self.outputs} outputs")
        weights = self.outputs * (self.inputs // self.groups) * math.prod(self.kernel) if self.multiplies else 0
        if self.weight_bytes != weights:
            raise ValueError(f"weight_bytes = {self.weight_bytes}, expected {weights}")
        if self.macs != weights * self.height * self.width:
            raise ValueError(f"macs = {self.macs}, expected {weights * self.height * self.width}")
        return self

    @property
    def multiplies(self) -> bool:
        """Whether the layer has weights."""
        return self.kind in ("conv", "depthwise", "grouped", "linear")


class LayerGraph(_Part):
    """Layers in execution order and all tensors that they read and write."""

    schema_name: Literal["actcodec-graph"] = "actcodec-graph"
    version: Literal[1] = 1
    network: Name
    tensors: Annotated[tuple[Tensor, ...], Field(min_length=1)]
    layers: Annotated[tuple[Layer, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        for what, names in (
            ("tensor", [tensor.name for tensor in self.tensors]),
            ("layer", [layer.name for layer in self.layers]),
            ("site", [tensor.site for tensor in self.tensors if tensor.site is not None]),
        ):
            for name in names:
                if names.count(name) > 1:
                    raise ValueError(f"{what} {name!r} occurs twice")
        known = {tensor.name for tensor in self.tensors}
        made = {layer.output for layer in self.layers}
        done: set[str] = set()
        for layer in self.layers:
            for name in (*(read.tensor for read in layer.reads), layer.output):
                if name not in known:
                    raise ValueError(f"layer {layer.name}: tensor {name!r} is unknown")
            for read in layer.reads:
                if read.tensor in made and read.tensor not in done:
                    raise ValueError(f"layer {layer.name} reads {read.tensor!r} before it is written")
            if layer.output in done:
                raise ValueError(f"layer {layer.name}: tensor {layer.output!r} is written twice")
            done.add(layer.output)
        return self

    @cached_property
    def by_name(self) -> dict[str, Tensor]:
        """Tensors by their names."""
        return {tensor.name: tensor for tensor in self.tensors}

    @cached_property
    def readers(self) -> dict[str, tuple[int, ...]]:
        """Numbers of the layers that read each tensor, in order."""
        found: dict[str, list[int]] = {tensor.name: [] for tensor in self.tensors}
        for number, layer in enumerate(self.layers):
            for name in dict.fromkeys(read.tensor for read in layer.reads):
                found[name].append(number)
        return {name: tuple(numbers) for name, numbers in found.items()}

    @property
    def macs(self) -> int:
        """Multiplications an image."""
        return sum(layer.macs for layer in self.layers)

    @property
    def weight_bytes(self) -> int:
        """Bytes of all 8-bit weights."""
        return sum(layer.weight_bytes for layer in self.layers)


def write_graph(target: Path, graph: LayerGraph) -> None:
    """Write the graph as JSON."""
    write_json(target, graph.model_dump(mode="json"))


def read_graph(source: Path) -> LayerGraph:
    """Read what `write_graph` wrote; ActcodecError names file, field and value where something does not fit."""
    content = read_json(source)
    if not isinstance(content, dict) or content.get("schema_name") != SCHEMA:
        raise ActcodecError(source, f"is no {SCHEMA} file")
    try:
        return LayerGraph.model_validate_json(source.read_bytes())
    except ValidationError as error:
        raise ActcodecError(source, validation_problem(error)) from error
