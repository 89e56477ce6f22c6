"""Operations of ONNX in real numbers, as they are used in convolutional networks."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import fx, nn
from torch.nn import functional

from actcodec.networks.imported.builder import Pads
from actcodec.networks.imported.values import Constant, Operation, Value, tensor

_FAR = float(np.finfo(np.float32).max)
_END = 2**31 - 1
"""Ends of slices from here on mean the whole axis."""


def convolve(op: Operation, x: fx.Node, weight: Constant, bias: Constant | None) -> fx.Node:
    """The convolution of ``op`` with these weights."""
    if weight.ndim != 4:
        raise op.fail(f"has a weight with {weight.ndim} axes; sites are made of 2-D convolutions")
    stride, dilation = _pair(op.get("strides", (1, 1))), _pair(op.get("dilations", (1, 1)))
    return op.builder.convolution(
        op.name,
        x,
        tensor(weight),
        None if bias is None else tensor(bias),
        stride=stride,
        pads=_pads(op, x, _pair(weight.shape[2:]), stride, dilation),
        dilation=dilation,
        groups=int(op.get("group", 1)),
    )


def product(op: Operation, x: fx.Node, weight: Constant, bias: Constant | None) -> fx.Node:
    """A linear layer of ``weight`` (outputs, inputs)."""
    return op.builder.linear(
        op.name, x, tensor(weight), None if bias is None else tensor(np.broadcast_to(bias, weight.shape[:1]))
    )


def _conv(op: Operation) -> Value:
    return convolve(op, op.node(0), op.constant(1), None if op.value(2) is None else op.constant(2))


def _gemm(op: Operation) -> Value:
    if op.get("transA", 0):
        raise op.fail("with transA is not supported")
    weight = op.constant(1) * np.float32(op.get("alpha", 1.0))
    bias = None if op.value(2) is None else op.constant(2) * np.float32(op.get("beta", 1.0))
    return product(op, op.node(0), weight if op.get("transB", 0) else weight.T, bias)


def _matmul(op: Operation) -> Value:
    return product(op, op.node(0), op.constant(1).T, None)


def _batch_norm(op: Operation) -> Value:
    gamma, beta, mean, variance = (tensor(op.constant(place)) for place in (1, 2, 3, 4))
    norm = nn.BatchNorm2d(len(gamma), eps=float(op.get("epsilon", 1e-5)))
    norm.load_state_dict({"weight": gamma, "bias": beta, "running_mean": mean, "running_var": variance}, strict=False)
    return op.builder.module(op.name, norm.eval().requires_grad_(False), op.node(0))


def _clip(op: Operation) -> Value:
    low = op.number(1, op.get("min", -_FAR))
    high = op.number(2, op.get("max", _FAR))
    return clamped(op, op.node(0), low, high)


def clamped(op: Operation, x: fx.Node, low: float, high: float) -> fx.Node:
    """``x`` clamped, as ReLU or ReLU6 where it is one."""
    if low == 0 and high >= _FAR:
        return op.builder.call(functional.relu, x)
    return (
        op.builder.call(functional.relu6, x)
        if (low, high) == (0, 6)
        else op.builder.call(functional.hardtanh, x, low, high)
    )


def _binary(function: Callable[..., Any]) -> Callable[[Operation], Value]:
    def read(op: Operation) -> Value:
        operands: list[Any] = []
        for place in (0, 1):
            value = op.value(place)
            if isinstance(value, np.ndarray):
                if value.size != 1 and function is torch.add and place == 1:
                    return _biased(op, value)
                operands.append(op.number(place))
            else:
                operands.append(op.node(place))
        return op.builder.call(function, *operands)

    return read


def _biased(op: Operation, bias: Constant) -> Value:
    """The bias that follows a product without one, as a layer that multiplies by 1."""
    x = op.node(0)
    features = op.builder.shape(x)[1]
    if bias.size != features:
        raise op.fail(f"adds a constant of shape {bias.shape} to {features} channels")
    rank = len(op.builder.shape(x))
    if rank == 2:
        return op.builder.linear(op.name, x, torch.eye(features), tensor(bias.reshape(-1)))
    weight = torch.ones(features, 1, 1, 1)
    return op.builder.convolution(op.name, x, weight, tensor(bias.reshape(-1)), groups=features)


def _unary(function: Callable[..., Any], **named: tuple[str, float]) -> Callable[[Operation], Value]:
    """``function``; ``named`` gives the attribute and its default of every argument."""

    def read(op: Operation) -> Value:
        given = {name: float(op.get(attribute, default)) for name, (attribute, default) in named.items()}
        return op.builder.call(function, op.node(0), **given)

    return read


def _hard_sigmoid(op: Operation) -> Value:
    alpha, beta = float(op.get("alpha", 0.2)), float(op.get("beta", 0.5))
    if abs(alpha - 1 / 6) > 1e-4 or beta != 0.5:
        raise op.fail(f"with alpha = {alpha}, beta = {beta} is not supported; 1/6 and 0.5 are")
    return op.builder.call(functional.hardsigmoid, op.node(0))


def _pool(op: Operation) -> Value:
    x, kernel = op.node(0), _pair(op.get("kernel_shape", ()))
    stride, dilation = _pair(op.get("strides", (1, 1))), _pair(op.get("dilations", (1, 1)))
    if op.get("ceil_mode", 0) or dilation != (1, 1):
        raise op.fail("with ceil_mode or dilations is not supported")
    pads = _pads(op, x, kernel, stride, dilation)
    maximum = op.kind == "MaxPool"
    return pooled(op, x, kernel, stride, pads, maximum=maximum, counts_padding=bool(op.get("count_include_pad", 0)))


def pooled(
    op: Operation,
    x: fx.Node,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pads: Pads,
    *,
    maximum: bool,
    counts_padding: bool = False,
) -> fx.Node:
    """Maximum or average of windows; an average over all positions is a global one."""
    left, right, top, bottom = pads
    if not maximum and not any(pads) and kernel == op.builder.shape(x)[2:]:
        return op.builder.call(functional.adaptive_avg_pool2d, x, 1)
    if left != right or top != bottom:
        if not maximum:
            raise op.fail(f"averages with uneven padding {pads}")
        x = op.builder.call(functional.pad, x, pads, value=-_FAR)
        left = top = 0
    if maximum:
        return op.builder.call(functional.max_pool2d, x, kernel, stride, (top, left))
    return op.builder.call(functional.avg_pool2d, x, kernel, stride, (top, left), count_include_pad=counts_padding)


def _global_average(op: Operation) -> Value:
    return op.builder.call(functional.adaptive_avg_pool2d, op.node(0), 1)


def _reduce_mean(op: Operation) -> Value:
    axes = [int(axis) for axis in op.get("axes", op.constant(1, ()) if op.value(1) is not None else ())]
    rank = len(op.builder.shape(op.node(0)))
    places = tuple(sorted(axis % rank for axis in axes)) if axes else ()
    if places != (2, 3):
        raise op.fail(f"averages over axes {axes}; height and width are supported")
    return op.builder.call(torch.mean, op.node(0), (2, 3), bool(op.get("keepdims", 1)))


def _reshape(op: Operation) -> Value:
    x = op.node(0)
    before = op.builder.shape(x)
    wanted = [int(side) for side in op.constant(1).reshape(-1)]
    wanted = [before[place] if side == 0 else side for place, side in enumerate(wanted)]
    if not wanted or (wanted[0] not in (1, -1)):
        raise op.fail(f"reshapes {before} to {wanted}, across images")
    after = torch.zeros(before).reshape(wanted).shape
    if after[0] != 1:
        raise op.fail(f"reshapes {before} to {wanted}, across images")
    return op.builder.flattened(x, tuple(after))


def _flatten(op: Operation) -> Value:
    if op.get("axis", 1) != 1:
        raise op.fail(f"flattens from axis {op.get('axis', 1)}; 1 is supported")
    return op.builder.call(torch.flatten, op.node(0), 1)


def _squeeze(op: Operation) -> Value:
    x = op.node(0)
    shape = op.builder.shape(x)
    axes = {int(axis) % len(shape) for axis in op.get("axes", op.constant(1, ()))}
    if not axes or 0 in axes:
        raise op.fail("squeezes the axis of the images")
    return op.builder.flattened(x, [side for axis, side in enumerate(shape) if axis not in axes])


def _concat(op: Operation) -> Value:
    if op.get("axis", 1) % 4 != 1:
        raise op.fail(f"concatenates along axis {op.get('axis', 1)}; channels are supported")
    return op.builder.call(torch.cat, [op.node(place) for place in range(len(op.inputs))], 1)


def _pad(op: Operation) -> Value:
    x = op.node(0)
    pads = [int(side) for side in op.get("pads", op.constant(1, ()))]
    if op.get("mode", b"constant") != b"constant" or op.number(2, op.get("value", 0.0)) != 0 or op.value(3) is not None:
        raise op.fail("pads by something other than zeros on all axes")
    rank = len(pads) // 2
    sides = [(pads[axis], pads[rank + axis]) for axis in range(rank)]
    flat = [side for pair in reversed(sides) for side in pair]
    return op.builder.call(functional.pad, x, tuple(flat[:-2] if sides[0] == (0, 0) else flat))


def _slice(op: Operation) -> Value:
    x = op.node(0)
    starts, ends = ([int(side) for side in op.constant(place).reshape(-1)] for place in (1, 2))
    axes = [int(axis) for axis in op.constant(3, list(range(len(starts)))).reshape(-1)]
    steps = [int(step) for step in op.constant(4, [1] * len(starts)).reshape(-1)]
    parts = [slice(None)] * len(op.builder.shape(x))
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        if step < 1:
            raise op.fail(f"has the step {step}")
        parts[axis] = slice(start or None, None if end >= _END else end, step if step > 1 else None)
    if parts[0] != slice(None):
        raise op.fail("slices the images")
    return op.builder.call(operator.getitem, x, tuple(parts))


def _same(op: Operation) -> Value:
    value = op.value(0)
    assert value is not None
    return value


def _shape(op: Operation) -> Value:
    return np.asarray(op.builder.shape(op.node(0)), np.int64)


def _pair(values: Any) -> tuple[int, int]:
    if len(values) != 2:
        raise ValueError(f"{len(values)} sides where two are expected")
    return int(values[0]), int(values[1])


def _pads(
    op: Operation, x: fx.Node, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> Pads:
    mode = op.get("auto_pad", b"NOTSET").decode()
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        return same_pads(op.builder.shape(x)[2:], kernel, stride, dilation, more_in_front=mode == "SAME_LOWER")
    top, left, bottom, right = (int(side) for side in op.get("pads", (0, 0, 0, 0)))
    return left, right, top, bottom


def same_pads(
    sides: tuple[int, ...],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
    *,
    more_in_front: bool = False,
) -> Pads:
    """Padding that makes ⌈side/stride⌉ outputs; an odd one goes behind, or in front."""
    pads: list[int] = []
    for side, k, s, d in zip(sides[::-1], kernel[::-1], stride[::-1], dilation[::-1], strict=True):
        total = max(0, (-(-side // s) - 1) * s + (k - 1) * d + 1 - side)
        half = (total + more_in_front) // 2
        pads += [half, total - half]
    left, right, top, bottom = pads
    return left, right, top, bottom


OPERATIONS: dict[str, Callable[[Operation], Value]] = {
    "Conv": _conv,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "BatchNormalization": _batch_norm,
    "Relu": _unary(functional.relu),
    "Clip": _clip,
    "LeakyRelu": _unary(functional.leaky_relu, negative_slope=("alpha", 0.01)),
    "Elu": _unary(functional.elu, alpha=("alpha", 1.0)),
    "Sigmoid": _unary(torch.sigmoid),
    "Tanh": _unary(torch.tanh),
    "HardSwish": _unary(functional.hardswish),
    "HardSigmoid": _hard_sigmoid,
    "Gelu": _unary(functional.gelu),
    "Mish": _unary(functional.mish),
    "Add": _binary(torch.add),
    "Sub": _binary(torch.sub),
    "Mul": _binary(torch.mul),
    "Div": _binary(torch.div),
    "MaxPool": _pool,
    "AveragePool": _pool,
    "GlobalAveragePool": _global_average,
    "ReduceMean": _reduce_mean,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Concat": _concat,
    "Pad": _pad,
    "Slice": _slice,
    "Shape": _shape,
    "Identity": _same,
    "Dropout": _same,
}
