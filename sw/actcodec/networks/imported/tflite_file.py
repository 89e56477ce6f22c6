"""Networks from TensorFlow Lite files, quantized to 8 bits or float."""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import fx

from actcodec.errors import ActcodecError
from actcodec.files import read_bytes
from actcodec.networks.imported.builder import NetworkBuilder
from actcodec.networks.imported.network import ImportedNetwork
from actcodec.networks.imported.tflite_operations import OPERATIONS, PROBABILITIES
from actcodec.networks.imported.values import Operation, Value, dequantized, quantized
from actcodec.networks.ranges import range_of_quantizer
from actcodec.networks.tracing import reason

_IDENTIFIER = b"TFL3"
_CUSTOM = 32
_BYTES = 255
_KEEPS_STEPS = ("MAX_POOL_2D", "RESHAPE", "SQUEEZE", "PAD", "DEQUANTIZE")
"""Operations whose result is in the steps of their input, as the format demands."""


def load_tflite(path: Path, drop: int = 0) -> ImportedNetwork:
    """Return the network of the TensorFlow Lite file ``path``, without the first ``drop`` of its logits.

    It has one graph with one input N×H×W×C and one output, the logits; a softmax at the end is left out. The steps of
    quantized activations are kept as quantizers, weights and biases become the real values they stand for.
    Raises ActcodecError where the package tflite is missing, the file is none of its, or an operation is not supported.
    """
    try:
        schema = importlib.import_module("tflite")
    except ImportError as error:
        raise ActcodecError(path, f"needs the package tflite (pip install 'actcodec[loaders]'): {error}") from error
    return _Reader(path, schema).read(drop)


class _Reader:
    """One pass over the operators of a file, in their order, which is that of execution."""

    def __init__(self, path: Path, schema: Any) -> None:
        self._path, self._schema = path, schema
        content = read_bytes(path)
        self._sha256 = hashlib.sha256(content).hexdigest()
        if content[4:8] != _IDENTIFIER:
            raise ActcodecError(path, "is no TensorFlow Lite file")
        self._model = schema.Model.GetRootAs(content, 0)
        if self._model.SubgraphsLength() != 1:
            raise ActcodecError(path, f"has {self._model.SubgraphsLength()} graphs; one is expected")
        self._graph = self._model.Subgraphs(0)
        if (self._graph.InputsLength(), self._graph.OutputsLength()) != (1, 1):
            raise ActcodecError(path, "has several inputs or outputs; one image and the logits are expected")
        shape = [int(side) for side in self._graph.Tensors(self._graph.Inputs(0)).ShapeAsNumpy()]
        if len(shape) != 4 or min(shape[1:]) < 1:
            raise ActcodecError(path, f"takes {shape}; an image N×H×W×C is expected")
        self._shape = (shape[3], shape[1], shape[2])
        self._builder = NetworkBuilder(str(path), self._shape)
        self._values: dict[int, Value] = {int(self._graph.Inputs(0)): self._builder.input}

    def read(self, drop: int) -> ImportedNetwork:
        last = int(self._graph.Outputs(0))
        for number in range(self._graph.OperatorsLength()):
            operator = self._graph.Operators(number)
            kind = self._kind(operator)
            made = int(operator.Outputs(0))
            if kind in PROBABILITIES:
                # What follows only rescales: integers to real values.
                last = int(operator.Inputs(0))
                break
            self._operator(operator, kind, made)
        value = self._values.get(last)
        if not isinstance(value, fx.Node):
            raise ActcodecError(self._path, "its output does not depend on its input")
        model, logits = self._builder.finish(value, drop)
        return ImportedNetwork(model, self._shape, logits, self._sha256, *self._convention())

    def _kind(self, operator: Any) -> str:
        code = self._model.OperatorCodes(operator.OpcodeIndex())
        # Files from before schema 3a have the first of the two only.
        number = max(code.DeprecatedBuiltinCode(), code.BuiltinCode())
        if number == _CUSTOM:
            return str((code.CustomCode() or b"custom").decode())
        return _name_of(self._schema.BuiltinOperator, number)

    def _convention(self) -> tuple[float | None, float | None]:
        """Mean and std of image/255 for which an image's bytes are the input's integers, moved by 128 where signed."""
        found = self._graph.Tensors(self._graph.Inputs(0))
        steps = self._steps(found)
        if steps is None:
            return None, None
        scale, zero = steps
        offset = 128 if found.Type() == self._schema.TensorType.INT8 else 0
        return (zero + offset) / _BYTES, 1 / (scale * _BYTES)

    def _steps(self, found: Any) -> tuple[float, int] | None:
        """Scale and zero point of an activation's integers, None where it is float."""
        if found.Type() == self._schema.TensorType.FLOAT32:
            return None
        parameters = found.Quantization()
        if parameters is None or parameters.ScaleLength() != 1:
            name = (found.Name() or b"").decode()
            raise ActcodecError(self._path, f"tensor {name!r} has no single scale; activations need one a tensor")
        return float(parameters.Scale(0)), int(parameters.ZeroPoint(0))

    def _operator(self, operator: Any, kind: str, made: int) -> None:
        output = self._graph.Tensors(made)
        name = (output.Name() or b"").decode() or f"{kind}_{made}"
        label = f"{self._path}, {kind} {name!r}"
        handler = OPERATIONS.get(kind)
        if handler is None:
            raise ActcodecError(label, "is not supported")
        inputs = tuple(self._value(label, int(place)) for place in operator.InputsAsNumpy())
        attributes = self._attributes(operator, kind, output)
        try:
            x = handler(Operation(label, name, kind, inputs, attributes, self._builder))
        except (ValueError, IndexError, KeyError) as error:
            raise ActcodecError(label, f"cannot be read: {reason(error)}") from error
        steps = None if kind in _KEEPS_STEPS else self._steps(output)
        if steps is not None:
            scale, zero = steps
            limits = np.iinfo(self._dtype(label, output))
            x = quantized(
                self._builder, x, scale, zero, range_of_quantizer(scale, zero, int(limits.min), int(limits.max))
            ).node
        self._values[made] = x

    def _value(self, label: str, place: int) -> Value | None:
        if place < 0:
            return None
        found = self._values.get(place)
        if found is None:
            found = self._values[place] = self._constant(label, self._graph.Tensors(place))
        return found

    def _dtype(self, label: str, found: Any) -> Any:
        name = _name_of(self._schema.TensorType, found.Type()).lower()
        if name not in ("float32", "int8", "uint8", "int16", "int32", "int64"):
            raise ActcodecError(label, f"has a tensor of type {name}")
        return np.dtype(name)

    def _constant(self, label: str, found: Any) -> NDArray[Any]:
        """The values of a constant, real ones where it is quantized."""
        data = self._model.Buffers(found.Buffer()).DataAsNumpy()
        if not isinstance(data, np.ndarray):
            raise ActcodecError(label, f"reads {(found.Name() or b'').decode()!r}, which nothing before it makes")
        shape = found.ShapeAsNumpy() if found.ShapeLength() else ()
        array = data.view(self._dtype(label, found)).reshape(shape)
        parameters = found.Quantization()
        if parameters is None or not parameters.ScaleLength():
            return np.asarray(array)
        scale, zero = parameters.ScaleAsNumpy(), parameters.ZeroPointAsNumpy()
        if not parameters.ZeroPointLength():
            zero = np.zeros(len(scale), np.int64)
        return dequantized(array, scale, zero, parameters.QuantizedDimension())

    def _attributes(self, operator: Any, kind: str, output: Any) -> dict[str, Any]:
        """What the operator's options say, in this program's words."""
        found = {"shape": [int(side) for side in output.ShapeAsNumpy()] if output.ShapeLength() else []}
        table = operator.BuiltinOptions()
        if table is None or kind not in _OPTIONS:
            return found
        options = getattr(self._schema, _OPTIONS[kind])()
        options.Init(table.Bytes, table.Pos)
        read: dict[str, Any] = {}
        if hasattr(options, "FusedActivationFunction"):
            read["activation"] = _name_of(self._schema.ActivationFunctionType, options.FusedActivationFunction())
        if hasattr(options, "StrideH"):
            read["stride"] = (options.StrideH(), options.StrideW())
            read["padding"] = _name_of(self._schema.Padding, options.Padding())
        if hasattr(options, "DilationHFactor"):
            read["dilation"] = (options.DilationHFactor(), options.DilationWFactor())
        if hasattr(options, "FilterHeight"):
            read["window"] = (options.FilterHeight(), options.FilterWidth())
        if hasattr(options, "KeepDims"):
            read["keep"] = bool(options.KeepDims())
        if hasattr(options, "Axis"):
            read["axis"] = options.Axis()
        return {**found, **read}


_OPTIONS = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
    "ADD": "AddOptions",
    "SUB": "SubOptions",
    "MUL": "MulOptions",
    "CONCATENATION": "ConcatenationOptions",
}


def _name_of(names: Any, number: int) -> str:
    """The name of ``number`` in an enumeration of the schema."""
    for name, value in vars(names).items():
        if value == number and name.isupper():
            return str(name)
    return f"number {number}"
