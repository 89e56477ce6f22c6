"""Networks from ONNX files: float ones, and quantized ones as QDQ, as QOperator or as QONNX's Quant."""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path
from typing import Any

import numpy as np
from torch import fx

from actcodec.errors import ActcodecError
from actcodec.files import read_bytes
from actcodec.networks.imported.builder import NetworkBuilder
from actcodec.networks.imported.network import ImportedNetwork
from actcodec.networks.imported.onnx_operations import OPERATIONS
from actcodec.networks.imported.onnx_quantized import QUANTIZED
from actcodec.networks.imported.values import Constant, Operation, Stored, Value
from actcodec.networks.tracing import reason

_MOVES = {"MaxPool", "Reshape", "Flatten", "Squeeze", "Concat", "Slice", "Identity", "Dropout", "Relu"}
"""Operations whose result is in the steps of their first input; they may be used on integers."""
_HANDLERS = {**OPERATIONS, **QUANTIZED}
_PROBABILITIES = ("Softmax", "LogSoftmax")
_BYTES = 255


def load_onnx(path: Path, drop: int = 0) -> ImportedNetwork:
    """Return the network of the ONNX file ``path``, without the first ``drop`` of its logits.

    It has one input N×C×H×W, float or stored as 8-bit integers, and one output, the logits; a softmax at the end is
    left out. The steps of quantized activations are kept as quantizers, weights become the real values they stand for.
    Raises ActcodecError where the package onnx is missing, the file is none of its, or an operation is not supported.
    """
    return _Reader(path, _onnx(path)).read(drop)


def _onnx(path: Path) -> Any:
    try:
        return importlib.import_module("onnx")
    except ImportError as error:
        raise ActcodecError(path, f"needs the package onnx (pip install 'actcodec[loaders]'): {error}") from error


class _Reader:
    """One pass over the nodes of a file, in their order, which is that of execution."""

    def __init__(self, path: Path, onnx: Any) -> None:
        self._path, self._onnx = path, onnx
        content = read_bytes(path)
        self._sha256 = hashlib.sha256(content).hexdigest()
        try:
            model = onnx.load_from_string(content)
            # Weights may lie in files beside it.
            onnx.load_external_data_for_model(model, str(path.parent))
            self._constants: dict[str, Any] = {
                tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer
            }
        except Exception as error:  # Whatever protobuf says of other bytes.
            raise ActcodecError(path, f"is no ONNX file: {reason(error)}") from error
        self._model, self._graph = model, model.graph
        self._values: dict[str, Value] = dict(self._constants)
        self._shape, self._integers = self._input()
        self._builder = NetworkBuilder(str(path), self._shape)

    def read(self, drop: int) -> ImportedNetwork:
        mean = std = None
        name = self._inputs()[0].name
        if self._integers is None:
            self._values[name] = self._builder.input
        else:
            steps = self._first_steps(name)
            mean, std = _byte_convention(*steps, self._integers)
            self._values[name] = Stored(self._builder.input, *steps)
        last = self._logits()
        for number, node in enumerate(self._graph.node):
            if node.output[0] == last and node.op_type in _PROBABILITIES:
                last = node.input[0]
                break
            self._node(number, node)
        value = self._values.get(last)
        if isinstance(value, Stored):
            value = value.node
        if not isinstance(value, fx.Node):
            raise ActcodecError(self._path, f"its output {last!r} does not depend on its input")
        model, logits = self._builder.finish(value, drop)
        return ImportedNetwork(model, self._shape, logits, self._sha256, mean, std)

    def _inputs(self) -> list[Any]:
        return [value for value in self._graph.input if value.name not in self._constants]

    def _input(self) -> tuple[tuple[int, int, int], Any]:
        """C×H×W of the input, and its integer type where it has one."""
        inputs = self._inputs()
        if len(inputs) != 1:
            raise ActcodecError(self._path, f"has {len(inputs)} inputs; one image is expected")
        found = inputs[0].type.tensor_type
        sides = [side.dim_value for side in found.shape.dim][1:]
        if len(sides) != 3 or not all(sides):
            raise ActcodecError(self._path, f"input {inputs[0].name!r} is no N×C×H×W of fixed C, H and W")
        dtype = self._onnx.helper.tensor_dtype_to_np_dtype(found.elem_type)
        if dtype not in (np.float32, np.uint8, np.int8):
            raise ActcodecError(self._path, f"input {inputs[0].name!r} is {dtype}; float32, uint8 or int8 is expected")
        return (sides[0], sides[1], sides[2]), None if dtype == np.float32 else dtype

    def _first_steps(self, name: str) -> tuple[float, int]:
        """Scale and zero point that the first operation takes the integers of the input with."""
        for node in self._graph.node:
            if name in node.input:
                found = [self._constants[part] for part in node.input[1:3] if part in self._constants]
                if node.op_type in QUANTIZED and [part.size for part in found] == [1, 1]:
                    scale, zero = (part.reshape(())[()] for part in found)
                    return float(scale), int(zero)
        raise ActcodecError(self._path, f"input {name!r} is of integers without a scale")

    def _logits(self) -> str:
        if len(self._graph.output) != 1:
            raise ActcodecError(self._path, f"has {len(self._graph.output)} outputs; one, the logits, is expected")
        last = str(self._graph.output[0].name)
        made = {node.output[0]: node for node in self._graph.node}
        # Integers, or real values, behind a softmax.
        while last in made and made[last].op_type in ("QuantizeLinear", "DequantizeLinear", "Identity"):
            before = made[last].input[0]
            if before not in made:
                break
            last = before
        return last if last in made and made[last].op_type in _PROBABILITIES else str(self._graph.output[0].name)

    def _node(self, number: int, node: Any) -> None:
        """Read one node: fold it where it is constant, else add it to the network."""
        label = f"{self._path}, {node.op_type} {node.name or node.output[0]!r}"
        inputs = tuple(self._value(label, name) if name else None for name in node.input)
        constants = {n: v for n, v in zip(node.input, inputs, strict=True) if isinstance(v, np.ndarray)}
        if len(constants) == sum(map(bool, set(node.input))) and node.op_type not in QUANTIZED:
            self._fold(label, node, constants)
            return
        handler = _HANDLERS.get(node.op_type)
        if handler is None:
            raise ActcodecError(label, "is not supported")
        attributes = {a.name: self._onnx.helper.get_attribute_value(a) for a in node.attribute}
        name = node.name or node.output[0] or f"{node.op_type}_{number}"
        operation = Operation(label, name, node.op_type, inputs, attributes, self._builder)
        try:
            value = handler(operation)
        except (ValueError, IndexError) as error:
            raise ActcodecError(label, f"cannot be read: {reason(error)}") from error
        first = inputs[0]
        if node.op_type in _MOVES and isinstance(first, Stored) and isinstance(value, fx.Node):
            value = Stored(value, first.scale, first.zero)
        self._values[node.output[0]] = value

    def _value(self, label: str, name: str) -> Value:
        value = self._values.get(name)
        if value is None:
            raise ActcodecError(label, f"reads {name!r}, which nothing before it makes")
        return value

    def _fold(self, label: str, node: Any, given: dict[str, Constant]) -> None:
        """Evaluate a node of constants."""
        helper = self._onnx.helper
        infos = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            for name, array in given.items()
        ]
        outputs = [helper.make_empty_tensor_value_info(name) for name in node.output]
        try:
            graph = helper.make_graph([node], "constant", infos, outputs)
            reference = importlib.import_module("onnx.reference")
            model = helper.make_model(graph, opset_imports=self._model.opset_import)
            found = reference.ReferenceEvaluator(model).run(None, given)
        except Exception as error:  # Whatever the evaluator says of the node.
            raise ActcodecError(label, f"cannot be evaluated: {reason(error)}") from error
        self._values.update(zip(node.output, map(np.asarray, found), strict=True))


def _byte_convention(scale: float, zero: int, dtype: Any) -> tuple[float, float]:
    """Mean and std of image/255 for which an image's bytes are the input's integers, moved by 128 where signed."""
    offset = 128 if dtype == np.int8 else 0
    return (zero + offset) / _BYTES, 1 / (scale * _BYTES)
