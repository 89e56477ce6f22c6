"""A torch network built operation by operation, as a reader of a network file goes through it."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from actcodec.errors import ActcodecError
from actcodec.networks.ranges import ActivationRange
from actcodec.networks.tracing import reason

Pads = tuple[int, int, int, int]
"""Left, right, top, bottom, as ``functional.pad`` takes them."""


class NetworkBuilder:
    """Collects the nodes of a network of inputs N×C×H×W; ``where`` names the file in errors.

    Every node is run on a black image as it is added, so that ``shape`` knows its shape.
    """

    def __init__(self, where: str, input_shape: tuple[int, int, int]) -> None:
        self._where = where
        self._root = nn.Module()
        self._graph = fx.Graph()
        self.input = self._graph.placeholder("x")
        self._values: dict[fx.Node, Tensor] = {self.input: torch.zeros(1, *input_shape)}

    def shape(self, node: fx.Node) -> tuple[int, ...]:
        """The shape of ``node`` for one image."""
        return tuple(self._values[node].shape)

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> fx.Node:
        """Add a call of ``function``; arguments may be nodes."""
        return self._add(self._graph.call_function(function, args, kwargs), function, args, kwargs)

    def module(self, name: str, module: nn.Module, x: fx.Node) -> fx.Node:
        """Add a call of ``module``, which gets the path ``name``, made a Python name and the only one of its kind."""
        path = re.sub(r"\W+", "_", name).strip("_") or "layer"
        path = f"_{path}" if path[0].isdigit() else path
        taken, number, unique = set(dir(self._root)), 1, path
        while unique in taken:
            number += 1
            unique = f"{path}_{number}"
        self._root.add_module(unique, module)
        return self._add(self._graph.call_module(unique, (x,)), module, (x,), {})

    def convolution(
        self,
        name: str,
        x: fx.Node,
        weight: Tensor,
        bias: Tensor | None,
        *,
        stride: tuple[int, int] = (1, 1),
        pads: Pads = (0, 0, 0, 0),
        dilation: tuple[int, int] = (1, 1),
        groups: int = 1,
    ) -> fx.Node:
        """Add a convolution of ``weight`` (C, C_in/groups, rows, columns); zeros are padded in front where uneven."""
        left, right, top, bottom = pads
        if left != right or top != bottom:
            x = self.call(functional.pad, x, pads)
            left = top = 0
        conv = nn.Conv2d(
            weight.shape[1] * groups,
            weight.shape[0],
            (weight.shape[2], weight.shape[3]),
            stride,
            (top, left),
            dilation,
            groups,
            bias=bias is not None,
        )
        return self.module(name, _with_weights(conv, weight, bias), x)

    def linear(self, name: str, x: fx.Node, weight: Tensor, bias: Tensor | None) -> fx.Node:
        """Add a linear layer of ``weight`` (outputs, inputs)."""
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
        return self.module(name, _with_weights(layer, weight, bias), x)

    def quantizer(self, x: fx.Node, steps: ActivationRange) -> fx.Node:
        """Add the rounding of ``x`` to ``steps``; gradients pass it where nothing is clamped."""
        return self.call(torch.fake_quantize_per_tensor_affine, x, steps.scale, steps.zero, steps.low, steps.high)

    def flattened(self, x: fx.Node, shape: Sequence[int]) -> fx.Node:
        """Add a reshape to ``shape``, that for one image; the first axis stays that of the images."""
        if len(shape) == 2:
            return self.call(torch.flatten, x, 1) if len(self.shape(x)) > 2 else x
        return self.call(torch.reshape, x, (-1, *shape[1:]))

    def finish(self, output: fx.Node, drop: int = 0) -> tuple[fx.GraphModule, int]:
        """Return the network whose logits are ``output``, without the first ``drop`` of them, and their number.

        What they do not depend on is left out.
        """
        if len(self.shape(output)) > 2:
            # Logits as a map of one position.
            output = self.flattened(output, (1, self._values[output].numel()))
        if drop:
            output = self.call(operator.getitem, output, (slice(None), slice(drop, None)))
        self._graph.output(output)
        network = fx.GraphModule(self._root, self._graph, "ImportedNetwork")
        network.graph.eliminate_dead_code()
        network.delete_all_unused_submodules()
        network.recompile()
        return network.eval(), self.shape(output)[1]

    def _add(
        self, node: fx.Node, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> fx.Node:
        given, named = fx.node.map_arg((args, kwargs), lambda read: self._values[read])
        try:
            with torch.no_grad():
                self._values[node] = function(*given, **named)
        except Exception as error:  # Whatever torch says of operands that do not fit.
            raise ActcodecError(self._where, f"operation {node.name}: {reason(error)}") from error
        return node


def _with_weights(layer: nn.Conv2d | nn.Linear, weight: Tensor, bias: Tensor | None) -> nn.Module:
    layer.weight = nn.Parameter(weight.contiguous(), requires_grad=False)
    if bias is not None:
        layer.bias = nn.Parameter(bias.contiguous(), requires_grad=False)
    return layer.eval()
