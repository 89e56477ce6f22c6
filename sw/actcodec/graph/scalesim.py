"""Topologies of SCALE-Sim as layer graphs.

A line is a layer, and each layer reads what the one before wrote:
``Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,``

The IFMAP of a line has its padding in it. Where it is larger than the output of the line before, by less than the
filter, the rest is taken for padding, half of it before the first row; where it is smaller, for pooling. A line with
one filter whose successor has the same channels is a depthwise convolution, as the published topologies write it.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from actcodec.errors import ActcodecError
from actcodec.files import read_bytes
from actcodec.graph.model import Axis, Layer, LayerGraph, LayerKind, Read, Tensor

_COLUMNS = (
    "IFMAP Height",
    "IFMAP Width",
    "Filter Height",
    "Filter Width",
    "Channels",
    "Num Filter",
    "Strides",
)
_LARGEST = 65536


@dataclass(frozen=True)
class _Line:
    """A line of the file; heights and widths as they stand there."""

    where: str
    name: str
    height: int
    width: int
    kernel: tuple[int, int]
    channels: int
    filters: int
    stride: int

    @property
    def computed(self) -> tuple[int, int]:
        """Rows and columns of the output."""
        return (self.height - self.kernel[0]) // self.stride + 1, (self.width - self.kernel[1]) // self.stride + 1


def read_topology(source: Path) -> LayerGraph:
    """Read a SCALE-Sim convolution topology as a chain of layers; the output of each but the last is a site.

    The file's name becomes the network's. Raises ActcodecError that names the line, the column and the value.
    """
    try:
        text = read_bytes(source).decode()
    except UnicodeDecodeError as error:
        raise ActcodecError(source, f"is not text: {error.reason}") from error
    rows = [
        (number, row) for number, row in enumerate(csv.reader(io.StringIO(text)), start=1) if any(map(str.strip, row))
    ]
    if not rows or [part.strip().lower() for part in rows[0][1][1:8]] != [name.lower() for name in _COLUMNS]:
        raise ActcodecError(source, f"line 1: expected the columns Layer name, {', '.join(_COLUMNS)}")
    lines = [_line(f"line {number}", source, row) for number, row in rows[1:]]
    if not lines:
        raise ActcodecError(source, "has no layer")
    names = [line.name for line in lines]
    for line in lines:
        if names.count(line.name) > 1:
            raise ActcodecError(source, f"{line.where}: Layer name {line.name!r} occurs twice")
    return _chain(source, lines)


def _line(where: str, source: Path, row: list[str]) -> _Line:
    parts = [part.strip() for part in row]
    while parts and not parts[-1]:
        parts.pop()
    if len(parts) != 1 + len(_COLUMNS):
        raise ActcodecError(source, f"{where}: {len(parts)} columns, expected {1 + len(_COLUMNS)}")
    numbers = {}
    for column, text in zip(_COLUMNS, parts[1:], strict=True):
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= _LARGEST and len(text) < 9):
            raise ActcodecError(source, f"{where}: {column} = {text[:40]!r} is no number from 1 to {_LARGEST}")
        numbers[column] = int(text)
    line = _Line(
        where=where,
        name=parts[0],
        height=numbers["IFMAP Height"],
        width=numbers["IFMAP Width"],
        kernel=(numbers["Filter Height"], numbers["Filter Width"]),
        channels=numbers["Channels"],
        filters=numbers["Num Filter"],
        stride=numbers["Strides"],
    )
    if not line.name:
        raise ActcodecError(source, f"{where}: Layer name is empty")
    for column, kernel, size in (
        ("Filter Height", line.kernel[0], line.height),
        ("Filter Width", line.kernel[1], line.width),
    ):
        if kernel > size:
            raise ActcodecError(source, f"{where}: {column} = {kernel} exceeds the IFMAP's {size}")
    return line


def _chain(source: Path, lines: list[_Line]) -> LayerGraph:
    first = lines[0]
    tensors = [Tensor(name="input", channels=first.channels, height=first.height, width=first.width)]
    layers: list[Layer] = []
    for number, line in enumerate(lines):
        after = lines[number + 1] if number + 1 < len(lines) else None
        depthwise = line.filters == 1 and line.channels > 1 and after is not None and after.channels == line.channels
        outputs = line.channels if depthwise else line.filters
        computed = line.computed
        stored, pools = computed, (Axis(), Axis())
        if after is not None:
            if after.channels not in (outputs, outputs * computed[0] * computed[1]):
                raise ActcodecError(
                    source, f"{after.where}: Channels = {after.channels}, but the layer before makes {outputs}"
                )
            if after.channels == outputs:
                stored, pools = _stored(source, after, computed)
        name = "input" if number == 0 else lines[number - 1].name
        before = tensors[-1]
        flat = before.channels != line.channels
        axes = [
            Axis(kernel=size, stride=size)
            if flat
            else Axis(kernel=kernel, stride=line.stride, pad=(given - size) // 2).then(pool)
            for size, given, kernel, pool in zip(
                (before.height, before.width), (line.height, line.width), line.kernel, pools, strict=True
            )
        ]
        kind: LayerKind = "depthwise" if depthwise else "conv"
        weights = outputs * (1 if depthwise else line.channels) * line.kernel[0] * line.kernel[1]
        layers.append(
            Layer(
                name=line.name,
                kind=kind,
                reads=(Read(tensor=name, rows=axes[0], columns=axes[1]),),
                output=line.name,
                inputs=line.channels,
                outputs=outputs,
                height=computed[0],
                width=computed[1],
                kernel=line.kernel,
                stride=(line.stride, line.stride),
                groups=outputs if depthwise else 1,
                macs=weights * computed[0] * computed[1],
                weight_bytes=weights,
                fused=("pool",) if stored != computed else (),
            )
        )
        tensors.append(
            Tensor(
                name=line.name,
                channels=outputs,
                height=stored[0],
                width=stored[1],
                site=line.name if after is not None else None,
            )
        )
    return LayerGraph(network=source.stem, tensors=tuple(tensors), layers=tuple(layers))


def _stored(source: Path, after: _Line, computed: tuple[int, int]) -> tuple[tuple[int, int], tuple[Axis, Axis]]:
    """Rows and columns that line ``after`` reads of what was ``computed``, and the pooling in between.

    Pooling windows of the smallest size that covers everything. The next IFMAP is taken as it is where it divides what
    was computed, otherwise without the padding that its filter needs to keep its size.
    """
    sides, axes = [], []
    for column, size, given, kernel in zip(
        ("IFMAP Height", "IFMAP Width"), computed, (after.height, after.width), after.kernel, strict=True
    ):
        if size <= given < size + kernel:
            sides.append(size)
            axes.append(Axis())
        elif given < size:
            # Either without padding, or with all that the next filter needs to keep the size.
            pooled = given if size % given == 0 else max(1, given - (kernel - 1))
            stride = size // pooled
            sides.append(pooled)
            axes.append(Axis(kernel=size - (pooled - 1) * stride, stride=stride))
        else:
            raise ActcodecError(source, f"{after.where}: {column} = {given}, but the layer before makes {size}")
    return (sides[0], sides[1]), (axes[0], axes[1])
