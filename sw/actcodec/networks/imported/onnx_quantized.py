"""Quantized operations of ONNX: QuantizeLinear and DequantizeLinear, QLinear…, QONNX's Quant.

An integer tensor is kept as the real values it stands for, rounded to its steps where it is made. A QLinear operation
is its real one followed by such a rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import fx

from actcodec.networks.imported.onnx_operations import convolve, product
from actcodec.networks.imported.values import Constant, Operation, Stored, Value, dequantized, quantized, tensor
from actcodec.networks.ranges import range_of_quantizer


def quantize_linear(op: Operation) -> Value:
    """QuantizeLinear: x, scale, zero point, whose type is that of the integers."""
    zero = op.constant(2, np.uint8(0))
    if isinstance(op.value(0), np.ndarray):
        raise op.fail("rounds a constant; store it as integers")
    return _stored(op, op.node(0), op.number(1), zero)


def dequantize_linear(op: Operation) -> Value:
    """DequantizeLinear: integers, scale, zero point."""
    value = op.value(0)
    if isinstance(value, np.ndarray):
        return dequantized(value, op.constant(1), op.constant(2, 0), op.get("axis", 1))
    stored = op.stored(0)
    if (op.number(1), int(op.number(2, 0))) != (stored.scale, stored.zero):
        raise op.fail("has another scale or zero point than what made its input")
    return stored.node


def qlinear_conv(op: Operation) -> Value:
    """QLinearConv: x, its scale and zero point, the weight's, those of the result, an int32 bias."""
    weight = dequantized(op.constant(3), op.constant(4), op.constant(5), 0)
    bias = None
    if op.value(8) is not None:
        bias = op.constant(8).astype(np.float32) * op.number(1) * op.constant(4).astype(np.float32)
    return _stored(op, convolve(op, op.stored(0).node, weight, bias), op.number(6), op.constant(7))


def qlinear_matmul(op: Operation) -> Value:
    """QLinearMatMul with constant right operand."""
    weight = dequantized(op.constant(3), op.constant(4), op.constant(5), 1)
    return _stored(op, product(op, op.stored(0).node, weight.T, None), op.number(6), op.constant(7))


def qgemm(op: Operation) -> Value:
    """QGemm of onnxruntime: QLinearMatMul with an int32 bias; real values where no result scale is given."""
    transposed = bool(op.get("transB", 0))
    weight = dequantized(op.constant(3), op.constant(4), op.constant(5), 0 if transposed else 1)
    if not transposed:
        weight = weight.T
    if op.get("transA", 0) or op.get("alpha", 1.0) != 1.0:
        raise op.fail("with transA or alpha is not supported")
    bias = None
    if op.value(6) is not None:
        bias = op.constant(6).astype(np.float32) * op.number(1) * op.constant(4).astype(np.float32)
    found = product(op, op.stored(0).node, weight, bias)
    return found if op.value(7) is None else _stored(op, found, op.number(7), op.constant(8))


def qlinear_binary(function: Callable[..., Any]) -> Callable[[Operation], Value]:
    """QLinearAdd, QLinearMul of onnxruntime: a, its scale and zero point, b's, the result's."""

    def read(op: Operation) -> Value:
        operands = [_operand(op, place) for place in (0, 3)]
        return _stored(op, op.builder.call(function, *operands), op.number(6), op.constant(7))

    return read


def qlinear_unary(function: Callable[[Operation, fx.Node], fx.Node]) -> Callable[[Operation], Value]:
    """QLinearGlobalAveragePool, QLinearSigmoid, … of onnxruntime: x, its scale and zero point, the result's."""

    def read(op: Operation) -> Value:
        return _stored(op, function(op, op.stored(0).node), op.number(3), op.constant(4))

    return read


def quant(op: Operation) -> Value:
    """QONNX's Quant: x, scale, zero point, bits; real values in and out."""
    signed, narrow = bool(op.get("signed", 1)), bool(op.get("narrow", 0))
    bits = op.number(3)
    if bits != int(bits):
        raise op.fail(f"rounds to {bits} bits")
    lowest = -(2 ** (int(bits) - 1)) + narrow if signed else 0
    highest = 2 ** (int(bits) - 1) - 1 if signed else 2 ** int(bits) - 1 - narrow
    value = op.value(0)
    if isinstance(value, np.ndarray):
        weight_scale, weight_zero = (op.constant(place).astype(np.float32) for place in (1, 2))
        codes = np.clip(np.round(value / weight_scale + weight_zero), lowest, highest)
        return np.asarray((codes - weight_zero) * weight_scale, np.float32)
    mode = op.get("rounding_mode", b"ROUND")
    mode = (mode.decode() if isinstance(mode, bytes) else str(mode)).upper()
    if mode not in ("ROUND", "HALF_EVEN"):
        raise op.fail(f"rounds activations by {mode}; ROUND is supported")
    scale, zero_point = op.number(1), op.number(2)
    if zero_point != int(zero_point):
        raise op.fail(f"has the zero point {zero_point}, no integer")
    steps = range_of_quantizer(scale, int(zero_point), lowest, highest)
    return quantized(op.builder, op.node(0), scale, int(zero_point), steps).node


def _operand(op: Operation, place: int) -> Any:
    """An operand of an addition: stored integers, or a constant in steps of its own."""
    value = op.value(place)
    if isinstance(value, np.ndarray):
        return _buffer(op, dequantized(value, op.constant(place + 1), op.constant(place + 2), 1))
    return op.stored(place).node


def _buffer(op: Operation, array: Constant) -> Any:
    if array.size != 1:
        raise op.fail("has a constant operand of several values; use a convolution's bias")
    return float(tensor(array).reshape(()))


def _stored(op: Operation, x: fx.Node, scale: float, zero: Constant) -> Stored:
    limits = np.iinfo(zero.dtype) if np.issubdtype(zero.dtype, np.integer) else None
    if limits is None or zero.size != 1:
        raise op.fail(f"has a zero point of type {zero.dtype} with {zero.size} values; one integer is expected")
    number = int(zero.reshape(())[()])
    steps = range_of_quantizer(scale, number, int(limits.min), int(limits.max))
    return quantized(op.builder, x, scale, number, steps)


QUANTIZED: dict[str, Callable[[Operation], Value]] = {
    "QuantizeLinear": quantize_linear,
    "DequantizeLinear": dequantize_linear,
    "QLinearConv": qlinear_conv,
    "QLinearMatMul": qlinear_matmul,
    "QGemm": qgemm,
    "QLinearAdd": qlinear_binary(torch.add),
    "QLinearMul": qlinear_binary(torch.mul),
    "QLinearSigmoid": qlinear_unary(lambda op, x: op.builder.call(torch.sigmoid, x)),
    "QLinearLeakyRelu": qlinear_unary(
        lambda op, x: op.builder.call(torch.nn.functional.leaky_relu, x, float(op.get("alpha", 0.01)))
    ),
    "QLinearGlobalAveragePool": qlinear_unary(
        lambda op, x: op.builder.call(torch.nn.functional.adaptive_avg_pool2d, x, 1)
    ),
    "Quant": quant,
}
