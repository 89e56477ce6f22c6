"""Quantized ONNX files made of a traced network: QDQ, QOperator where ONNX has one, or QONNX's Quant."""

from __future__ import annotations

import operator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from torch import fx, nn

from actcodec.learn.batches import input_batches
from actcodec.networks import Network, fold_batchnorm

Style = Literal["qdq", "qoperator", "quant"]
QONNX = "qonnx.custom_op.general"


class Quant(OpRun):
    """QONNX's Quant, written after its specification: rounding half to even, signed or not."""

    op_domain = QONNX

    def _run(self, x: Any, scale: Any, zero: Any, bits: Any, narrow: int, rounding_mode: str, signed: int) -> Any:
        lowest = -(2 ** (bits - 1)) + narrow if signed else np.zeros_like(bits)
        highest = 2 ** (bits - 1) - 1 if signed else 2**bits - 1 - narrow
        scaled = x / scale + zero
        whole = {"ROUND": np.round, "FLOOR": np.floor}[rounding_mode](scaled)
        return (((np.clip(whole, lowest, highest) - zero) * scale).astype(np.float32),)


def evaluator(model: onnx.ModelProto) -> ReferenceEvaluator:
    return ReferenceEvaluator(model, new_ops=[Quant])


class _Writer:
    """Goes through a folded network and writes every stored tensor as 8-bit integers."""

    def __init__(self, network: Network, images: np.ndarray, style: Style) -> None:
        self._style = style
        self._folded = fold_batchnorm(network.model)
        self._extremes: dict[fx.Node, tuple[float, float]] = {}
        # Ranges of all tensors on some images, as a post-training quantizer takes them.
        for x in input_batches(network, images, 32, "", False):
            _Watch(self._folded, self._extremes).run(x)
        self.nodes: list[Any] = []
        self.tensors: list[Any] = []
        self.steps: dict[str, tuple[float, int]] = {}
        self._names: dict[fx.Node, str] = {}
        self._shape = (1, *network.input_shape)

    def write(self, logits: int) -> onnx.ModelProto:
        for node in self._folded.graph.nodes:
            self._node(node)
        graph = helper.make_graph(
            self.nodes,
            "quantized",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", *self._shape[1:]])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", logits])],
            self.tensors,
        )
        opsets = [helper.make_opsetid("", 19), helper.make_opsetid(QONNX, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9)

    def _add(self, kind: str, inputs: list[str], name: str, domain: str = "", **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [name], name=f"node_{name}", domain=domain, **attributes))
        return name

    def _constant(self, name: str, array: Any) -> str:
        self.tensors.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def _quantized(self, node: fx.Node, name: str, result: str) -> str:
        """Round ``name`` to the steps of ``node``; real values come out as ``result``."""
        scale, zero = self._steps_of(node, result)
        if self._style == "quant":
            parts = [
                self._constant(f"{result}.{k}", np.float32(v)) for k, v in zip("szb", (scale, zero, 8), strict=True)
            ]
            return self._add("Quant", [name, *parts], result, QONNX, signed=1, narrow=0, rounding_mode="ROUND")
        parts = self._pair(result, scale, zero)
        self._add("QuantizeLinear", [name, *parts], f"{result}.q")
        return self._add("DequantizeLinear", [f"{result}.q", *parts], result)

    def _pair(self, result: str, scale: float, zero: int) -> list[str]:
        return [self._constant(f"{result}.scale", np.float32(scale)), self._constant(f"{result}.zero", np.int8(zero))]

    def _steps_of(self, node: fx.Node, result: str) -> tuple[float, int]:
        low, high = self._extremes[node]
        low, high = min(low, 0.0), max(high, 0.0)
        scale = float(np.float32((high - low) / 255))
        self.steps[result] = scale, round(-low / scale) - 128
        return self.steps[result]

    def _node(self, node: fx.Node) -> None:
        module = self._folded.get_submodule(str(node.target)) if node.op == "call_module" else None
        reads = [self._names[source] for source in node.all_input_nodes]
        if node.op == "placeholder":
            self._names[node] = self._quantized(node, "image", "image_q")
        elif isinstance(module, nn.Conv2d):
            self._names[node] = self._convolution(node, module, reads[0])
        elif isinstance(module, nn.Linear):
            weight = self._weights(node.name, module.weight.detach().numpy(), axis=0)
            bias = self._constant(f"{node.name}.bias", module.bias.detach().numpy())
            self._add("Gemm", [reads[0], weight, bias], "gemm", transB=1)
            self._names[node] = self._quantized(node, "gemm", "logits")
        elif node.op == "output":
            assert reads == ["logits"]
        else:
            self._names[node] = self._operation(node, reads)

    def _weights(self, name: str, weight: np.ndarray, axis: int) -> str:
        """int8 weights, one scale an output, and the real values they stand for."""
        scale = np.abs(weight).max(axis=tuple(range(1, weight.ndim))).astype(np.float32) / 127
        codes = np.round(weight / scale.reshape(-1, *[1] * (weight.ndim - 1))).astype(np.int8)
        if self._style == "quant":
            wide = scale.reshape(-1, *[1] * (weight.ndim - 1))
            parts = [
                self._constant(f"{name}.{key}", np.asarray(value, np.float32))
                for key, value in {"w": weight, "s": wide, "z": 0.0, "b": 8.0}.items()
            ]
            return self._add("Quant", parts, f"{name}.weight", QONNX, signed=1, narrow=1, rounding_mode="ROUND")
        parts = [
            self._constant(f"{name}.wq", codes),
            self._constant(f"{name}.ws", scale),
            self._constant(f"{name}.wz", np.zeros(len(scale), np.int8)),
        ]
        return self._add("DequantizeLinear", parts, f"{name}.weight", axis=axis)

    def _convolution(self, node: fx.Node, conv: nn.Conv2d, x: str) -> str:
        attributes = {
            "strides": list(conv.stride),
            "pads": [*map(int, conv.padding)] * 2,
            "kernel_shape": list(conv.kernel_size),
            "group": conv.groups,
        }
        weight, bias = conv.weight.detach().numpy(), conv.bias.detach().numpy()
        users = list(node.users)
        alone = len(users) == 1 and users[0].target is nn.functional.relu
        if self._style == "qoperator" and alone:
            # The ReLU is the lower end of the result's integers.
            return self._qlinear(node, users[0], weight, bias, x, attributes)
        inputs = [x, self._weights(node.name, weight, 0), self._constant(f"{node.name}.bias", bias)]
        self._add("Conv", inputs, node.name, **attributes)
        # A quantizer of its own before an addition, as tools place it; none before a ReLU.
        return node.name if alone else self._quantized(node, node.name, f"{node.name}_q")

    def _qlinear(
        self, node: fx.Node, relu: fx.Node, weight: np.ndarray, bias: np.ndarray, x: str, attributes: Any
    ) -> str:
        self._weights(node.name, weight, 0)
        self.nodes.pop()
        scale, _ = self.steps[x]
        ws = np.abs(weight).max(axis=(1, 2, 3)).astype(np.float32) / 127
        integers = self._constant(f"{node.name}.bq", np.round(bias / (scale * ws)).astype(np.int32))
        result = f"{relu.name}_q"
        parts = self._pair(result, *self._steps_of(relu, result))
        given = [
            f"{x}.q",
            f"{x}.scale",
            f"{x}.zero",
            *(f"{node.name}.{k}" for k in ("wq", "ws", "wz")),
            *parts,
            integers,
        ]
        self._add("QLinearConv", given, f"{result}.q", **attributes)
        return self._add("DequantizeLinear", [f"{result}.q", *parts], result)

    def _operation(self, node: fx.Node, reads: list[str]) -> str:
        target = node.target
        if target is nn.functional.relu:
            if reads[0].endswith("_q") and node.all_input_nodes[0].op == "call_module":
                self.steps[f"{node.name}_q"] = self.steps[reads[0]]
                return reads[0]
            self._add("Relu", reads, node.name)
            return self._quantized(node, node.name, f"{node.name}_q")
        if target is operator.add:
            return self._add("Add", reads, node.name)
        if target is operator.getitem:
            parts = [(axis, part.step) for axis, part in enumerate(node.args[1]) if part != slice(None)]
            axes, steps = zip(*parts, strict=True)
            arrays = {"starts": [0] * len(axes), "ends": [2**31 - 1] * len(axes), "axes": axes, "steps": steps}
            inputs = [self._constant(f"{node.name}.{k}", np.array(v, np.int64)) for k, v in arrays.items()]
            return self._add("Slice", [*reads, *inputs], node.name)
        if target is nn.functional.pad:
            pads = list(node.args[1])
            pads = pads + [0] * (8 - len(pads))
            order = [*pads[::-1][1::2], *pads[::-1][0::2]]
            return self._add("Pad", [*reads, self._constant(f"{node.name}.pads", np.array(order, np.int64))], node.name)
        if target is nn.functional.adaptive_avg_pool2d:
            self._add("GlobalAveragePool", reads, node.name)
            return self._quantized(node, node.name, f"{node.name}_q")
        if target is torch.flatten:
            return self._add("Flatten", reads, node.name, axis=1)
        raise NotImplementedError(str(target))


class _Watch(fx.Interpreter):
    def __init__(self, module: fx.GraphModule, extremes: dict[fx.Node, tuple[float, float]]) -> None:
        super().__init__(module)
        self._extremes = extremes

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if isinstance(value, torch.Tensor):
            low, high = self._extremes.get(n, (np.inf, -np.inf))
            self._extremes[n] = min(low, float(value.min())), max(high, float(value.max()))
        return value


def quantized_file(path: Path, network: Network, images: np.ndarray, style: Style, logits: int = 10) -> dict[str, Any]:
    """Write ``network`` quantized by its ranges on ``images``; returns scale and zero point of every stored tensor."""
    writer = _Writer(network, images, style)
    onnx.save(writer.write(logits), str(path))
    return writer.steps
