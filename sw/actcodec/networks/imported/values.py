"""What the tensors of a network file become while it is read, and the operation that is being read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

from actcodec.errors import ActcodecError
from actcodec.networks.imported.builder import NetworkBuilder
from actcodec.networks.ranges import ActivationRange

Constant = NDArray[Any]


@dataclass(frozen=True)
class Stored:
    """Integers of the file: ``node`` holds the real values they stand for, scale·(integer − zero)."""

    node: fx.Node
    scale: float
    zero: int


Value = Constant | fx.Node | Stored


@dataclass(frozen=True)
class Operation:
    """One operation: ``label`` names it in errors, ``name`` its module; ``inputs`` that are left out are None."""

    label: str
    name: str
    kind: str
    inputs: tuple[Value | None, ...]
    attributes: Mapping[str, Any]
    builder: NetworkBuilder

    def fail(self, problem: str) -> ActcodecError:
        """The error that names this operation."""
        return ActcodecError(self.label, problem)

    def value(self, place: int) -> Value | None:
        """Input ``place``, None where it is left out."""
        return self.inputs[place] if place < len(self.inputs) else None

    def node(self, place: int) -> fx.Node:
        """Input ``place`` as an activation, in real values."""
        value = self.value(place)
        if isinstance(value, Stored):
            return value.node
        if not isinstance(value, fx.Node):
            raise self.fail(f"input {place} is no activation")
        return value

    def stored(self, place: int) -> Stored:
        """Input ``place`` as stored integers."""
        value = self.value(place)
        if not isinstance(value, Stored):
            raise self.fail(f"input {place} is no quantized activation")
        return value

    def constant(self, place: int, default: Any = None) -> Constant:
        """Input ``place`` as an array; ``default`` where it is left out."""
        value = self.value(place)
        if value is None and default is not None:
            return np.asarray(default)
        if not isinstance(value, np.ndarray):
            raise self.fail(f"input {place} is no constant")
        return value

    def number(self, place: int, default: float | None = None) -> float:
        """Input ``place`` as the one number it has to be."""
        array = self.constant(place, default)
        if array.size != 1:
            raise self.fail(
                f"input {place} has {array.size} values; activations need one scale and zero point a tensor"
            )
        return float(array.reshape(())[()])

    def get(self, name: str, default: Any) -> Any:
        """Attribute ``name``."""
        return self.attributes.get(name, default)


def tensor(array: Constant) -> Tensor:
    """``array`` as float32."""
    return torch.from_numpy(np.array(array, np.float32))


def dequantized(codes: Constant, scale: Constant, zero: Constant, axis: int) -> Constant:
    """Return float32 scale·(codes − zero); scales and zero points of several values lie along ``axis``."""

    def along(values: Constant) -> Constant:
        if values.size == 1:
            return values.reshape(())
        return values.reshape([-1 if place == axis % codes.ndim else 1 for place in range(codes.ndim)])

    steps = codes.astype(np.float32) - along(np.asarray(zero)).astype(np.float32)
    return np.asarray(steps * along(np.asarray(scale)).astype(np.float32), np.float32)


def quantized(builder: NetworkBuilder, x: fx.Node, scale: float, zero: int, steps: ActivationRange | None) -> Stored:
    """Round ``x`` to integers of these steps; with more than 8 bits (None) they are taken as exact."""
    return Stored(x if steps is None else builder.quantizer(x, steps), scale, zero)
