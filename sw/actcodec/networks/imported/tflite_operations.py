"""Operations of TensorFlow Lite, in real values; the reader rounds their results to the file's steps.

Tensors are N×H×W×C in the file and N×C×H×W here: weights are turned round, and so are the features of a linear layer
behind a flattening.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import fx
from torch.nn import functional

from actcodec.networks.imported.builder import Pads
from actcodec.networks.imported.onnx_operations import clamped, pooled, same_pads
from actcodec.networks.imported.values import Operation, tensor

_FAR = float(np.finfo(np.float32).max)


def _activated(op: Operation, x: fx.Node) -> fx.Node:
    """``x`` through the activation that is fused with the operation."""
    kind = op.get("activation", "NONE")
    if kind == "NONE":
        return x
    if kind in ("RELU", "RELU6"):
        return clamped(op, x, 0, 6 if kind == "RELU6" else _FAR)
    if kind == "RELU_N1_TO_1":
        return op.builder.call(functional.hardtanh, x, -1.0, 1.0)
    if kind == "TANH":
        return op.builder.call(torch.tanh, x)
    raise op.fail(f"has the fused activation {kind}, which is not supported")


def _window(op: Operation, x: fx.Node, kernel: tuple[int, int], dilation: tuple[int, int]) -> Pads:
    if op.attributes["padding"] == "VALID":
        return 0, 0, 0, 0
    return same_pads(op.builder.shape(x)[2:], kernel, op.attributes["stride"], dilation)


def _convolution(op: Operation) -> fx.Node:
    x, weight = op.node(0), op.constant(1)
    bias = None if op.value(2) is None else tensor(op.constant(2))
    depthwise = op.kind == "DEPTHWISE_CONV_2D"
    # (outputs, H, W, inputs), of a depthwise one (1, H, W, outputs).
    turned = weight.transpose(3, 0, 1, 2) if depthwise else weight.transpose(0, 3, 1, 2)
    inputs = op.builder.shape(x)[1]
    dilation = op.attributes["dilation"]
    kernel = (turned.shape[2], turned.shape[3])
    return _activated(
        op,
        op.builder.convolution(
            op.name,
            x,
            tensor(turned),
            bias,
            stride=op.attributes["stride"],
            pads=_window(op, x, kernel, dilation),
            dilation=dilation,
            groups=inputs if depthwise else inputs // turned.shape[1],
        ),
    )


def _linear(op: Operation) -> fx.Node:
    x, weight = op.node(0), op.constant(1)
    shape = op.builder.shape(x)
    if len(shape) == 4:
        x = op.builder.flattened(x, (1, int(np.prod(shape[1:]))))
    before = _unflattened(op, x)
    if before is not None:
        C, H, W = before
        weight = weight.reshape(-1, H, W, C).transpose(0, 3, 1, 2).reshape(len(weight), -1)
    bias = None if op.value(2) is None else tensor(op.constant(2))
    return _activated(op, op.builder.linear(op.name, x, tensor(weight), bias))


def _unflattened(op: Operation, x: fx.Node) -> tuple[int, int, int] | None:
    """C, H, W of what was flattened to ``x``, through whatever works value by value; None for a plain vector."""
    while len(op.builder.shape(x)) == 2 and x.all_input_nodes:
        source = x.all_input_nodes[0]
        shape = op.builder.shape(source)
        if len(shape) == 4:
            return shape[1], shape[2], shape[3]
        if x.op != "call_function":
            return None
        x = source
    return None


def _pool(op: Operation) -> fx.Node:
    x, kernel = op.node(0), op.attributes["window"]
    pads = _window(op, x, kernel, (1, 1))
    return _activated(op, pooled(op, x, kernel, op.attributes["stride"], pads, maximum=op.kind == "MAX_POOL_2D"))


def _mean(op: Operation) -> fx.Node:
    if sorted(int(axis) % 4 for axis in op.constant(1).reshape(-1)) != [1, 2]:
        raise op.fail("averages over other axes than height and width")
    return op.builder.call(torch.mean, op.node(0), (2, 3), op.attributes["keep"])


def _flat(op: Operation) -> fx.Node:
    """A reshape or squeeze to features an image, or to the shape it has."""
    x = op.node(0)
    before = op.builder.shape(x)
    after = op.attributes["shape"]
    if len(after) == 2 and after[0] in (1, -1):
        return op.builder.flattened(x, (1, int(np.prod(before[1:]))))
    if len(after) == len(before) == 4 and tuple(after[1:]) == (*before[2:], before[1]):
        return x
    raise op.fail(f"reshapes N×C×H×W {before} to {tuple(after)}; features an image are supported")


def _binary(function: Callable[..., Any]) -> Callable[[Operation], fx.Node]:
    def read(op: Operation) -> fx.Node:
        operands = [op.number(p) if isinstance(op.value(p), np.ndarray) else op.node(p) for p in (0, 1)]
        return _activated(op, op.builder.call(function, *operands))

    return read


def _unary(function: Callable[..., Any], *arguments: Any) -> Callable[[Operation], fx.Node]:
    return lambda op: op.builder.call(function, op.node(0), *arguments)


def _concatenation(op: Operation) -> fx.Node:
    if op.attributes["axis"] % 4 != 3:
        raise op.fail("concatenates along another axis than the channels")
    return _activated(op, op.builder.call(torch.cat, [op.node(p) for p in range(len(op.inputs))], 1))


def _pad(op: Operation) -> fx.Node:
    images, rows, columns, channels = ((int(a), int(b)) for a, b in op.constant(1))
    if images != (0, 0):
        raise op.fail("pads the images")
    sides = (*columns, *rows) if channels == (0, 0) else (*columns, *rows, *channels)
    return op.builder.call(functional.pad, op.node(0), sides)


def _same(op: Operation) -> fx.Node:
    return op.node(0)


OPERATIONS: dict[str, Callable[[Operation], fx.Node]] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _convolution,
    "FULLY_CONNECTED": _linear,
    "AVERAGE_POOL_2D": _pool,
    "MAX_POOL_2D": _pool,
    "MEAN": _mean,
    "RESHAPE": _flat,
    "SQUEEZE": _flat,
    "ADD": _binary(torch.add),
    "SUB": _binary(torch.sub),
    "MUL": _binary(torch.mul),
    "CONCATENATION": _concatenation,
    "PAD": _pad,
    "RELU": _unary(functional.relu),
    "RELU6": _unary(functional.relu6),
    "LOGISTIC": _unary(torch.sigmoid),
    "TANH": _unary(torch.tanh),
    "HARD_SWISH": _unary(functional.hardswish),
    "QUANTIZE": _same,
    "DEQUANTIZE": _same,
}
PROBABILITIES = ("SOFTMAX", "LOG_SOFTMAX")
