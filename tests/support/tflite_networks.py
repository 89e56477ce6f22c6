"""TensorFlow Lite files written through the schema's own builders, and what such a file computes in integers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import tflite
from safetensors.numpy import load_file


@dataclass
class TFLiteFile:
    """Tensors and operators are added in order; a tensor's number is its place."""

    _tensors: list[dict[str, Any]] = field(default_factory=list)
    _operators: list[tuple[str, list[int], int, str | None, dict[str, int]]] = field(default_factory=list)

    def tensor(
        self,
        name: str,
        shape: Any,
        dtype: str,
        scale: Any = None,
        zero: Any = 0,
        axis: int = 0,
        data: np.ndarray | None = None,
    ) -> int:
        self._tensors.append(
            {"name": name, "shape": shape, "dtype": dtype, "scale": scale, "zero": zero, "axis": axis, "data": data}
        )
        return len(self._tensors) - 1

    def operator(self, kind: str, inputs: list[int], output: int, options: str | None = None, **values: int) -> int:
        self._operators.append((kind, inputs, output, options, values))
        return output

    def save(self, path: Path, source: int, result: int) -> None:
        b = flatbuffers.Builder(1 << 20)
        kinds = sorted({operator[0] for operator in self._operators})
        codes = [self._code(b, kind) for kind in kinds]
        # Buffer 0 is empty by convention.
        buffers = [self._buffer(b, None)] + [self._buffer(b, t["data"]) for t in self._tensors]
        tensors = [self._tensor(b, t, number + 1) for number, t in enumerate(self._tensors)]
        operators = [self._operator(b, kinds, *operator) for operator in self._operators]
        parts = [_offsets(b, part) for part in (tensors, operators)]
        ends = [b.CreateNumpyVector(np.array([end], np.int32)) for end in (source, result)]
        tflite.SubGraphStart(b)
        tflite.SubGraphAddTensors(b, parts[0])
        tflite.SubGraphAddInputs(b, ends[0])
        tflite.SubGraphAddOutputs(b, ends[1])
        tflite.SubGraphAddOperators(b, parts[1])
        graph = _offsets(b, [tflite.SubGraphEnd(b)])
        codes_at, buffers_at = _offsets(b, codes), _offsets(b, buffers)
        tflite.ModelStart(b)
        tflite.ModelAddVersion(b, 3)
        tflite.ModelAddOperatorCodes(b, codes_at)
        tflite.ModelAddSubgraphs(b, graph)
        tflite.ModelAddBuffers(b, buffers_at)
        b.Finish(tflite.ModelEnd(b), b"TFL3")
        path.write_bytes(bytes(b.Output()))

    def _code(self, b: Any, kind: str) -> int:
        number = getattr(tflite.BuiltinOperator, kind)
        tflite.OperatorCodeStart(b)
        tflite.OperatorCodeAddDeprecatedBuiltinCode(b, min(number, 127))
        tflite.OperatorCodeAddBuiltinCode(b, number)
        tflite.OperatorCodeAddVersion(b, 1)
        return tflite.OperatorCodeEnd(b)

    def _buffer(self, b: Any, data: np.ndarray | None) -> int:
        held = None if data is None else b.CreateNumpyVector(np.frombuffer(data.tobytes(), np.uint8))
        tflite.BufferStart(b)
        if held is not None:
            tflite.BufferAddData(b, held)
        return tflite.BufferEnd(b)

    def _tensor(self, b: Any, t: dict[str, Any], buffer: int) -> int:
        name, shape = b.CreateString(t["name"]), b.CreateNumpyVector(np.array(t["shape"], np.int32))
        steps = None
        if t["scale"] is not None:
            scale = b.CreateNumpyVector(np.atleast_1d(np.array(t["scale"], np.float32)))
            zero = b.CreateNumpyVector(np.broadcast_to(np.int64(t["zero"]), np.size(t["scale"])).copy())
            tflite.QuantizationParametersStart(b)
            tflite.QuantizationParametersAddScale(b, scale)
            tflite.QuantizationParametersAddZeroPoint(b, zero)
            tflite.QuantizationParametersAddQuantizedDimension(b, t["axis"])
            steps = tflite.QuantizationParametersEnd(b)
        tflite.TensorStart(b)
        tflite.TensorAddShape(b, shape)
        tflite.TensorAddType(b, getattr(tflite.TensorType, t["dtype"].upper()))
        tflite.TensorAddBuffer(b, buffer)
        tflite.TensorAddName(b, name)
        if steps is not None:
            tflite.TensorAddQuantization(b, steps)
        return tflite.TensorEnd(b)

    def _operator(
        self, b: Any, kinds: list[str], kind: str, inputs: list[int], output: int, options: str | None, values: Any
    ) -> int:
        table = None
        if options is not None:
            getattr(tflite, f"{options}Start")(b)
            for name, value in values.items():
                getattr(tflite, f"{options}Add{name}")(b, value)
            table = getattr(tflite, f"{options}End")(b)
        reads, writes = (b.CreateNumpyVector(np.array(places, np.int32)) for places in (inputs, [output]))
        tflite.OperatorStart(b)
        tflite.OperatorAddOpcodeIndex(b, kinds.index(kind))
        tflite.OperatorAddInputs(b, reads)
        tflite.OperatorAddOutputs(b, writes)
        if table is not None:
            tflite.OperatorAddBuiltinOptionsType(b, getattr(tflite.BuiltinOptions, options))
            tflite.OperatorAddBuiltinOptions(b, table)
        return tflite.OperatorEnd(b)


def _offsets(b: Any, offsets: list[int]) -> int:
    b.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return b.EndVector()


SAME, VALID = tflite.Padding.SAME, tflite.Padding.VALID
NONE, RELU6 = tflite.ActivationFunctionType.NONE, tflite.ActivationFunctionType.RELU6


def mobilenetv2_file(path: Path, checkpoint: Path) -> None:
    """Write MobileNetV2 as Google's file has it, uint8, from the tensors that were taken out of that file."""
    state = load_file(checkpoint)
    file = TFLiteFile()
    scales: dict[int, float] = {}

    def number(name: str) -> float:
        return float(np.asarray(state[name]).reshape(-1)[0])

    def activation(name: str, shape: Any, steps: str) -> int:
        place = file.tensor(name, shape, "uint8", number(f"{steps}.out_scale"), int(number(f"{steps}.out_zero")))
        scales[place] = number(f"{steps}.out_scale")
        return place

    def layer(name: str, x: int, side: int, *, stride: int = 1, depthwise: bool = False, relu6: bool = True) -> int:
        codes = state[f"{name}.weight_q"]
        turned = codes.transpose(1, 2, 3, 0) if depthwise else codes.transpose(0, 2, 3, 1)
        scale = number(f"{name}.weight_scale")
        zero = int(number(f"{name}.weight_zero"))
        weight = file.tensor(f"{name}.w", turned.shape, "uint8", scale, zero, data=np.ascontiguousarray(turned))
        step = scale * scales[x]
        bias = np.round(state[f"{name}.bias"] / step).astype(np.int32)
        held = file.tensor(f"{name}.b", bias.shape, "int32", step, data=bias)
        out = activation(name, (1, side, side, len(codes)), name)
        options: dict[str, int] = {"Padding": SAME, "StrideW": stride, "StrideH": stride}
        options |= {"FusedActivationFunction": RELU6 if relu6 else NONE, "DilationWFactor": 1, "DilationHFactor": 1}
        if depthwise:
            options["DepthMultiplier"] = 1
            return file.operator("DEPTHWISE_CONV_2D", [x, weight, held], out, "DepthwiseConv2DOptions", **options)
        return file.operator("CONV_2D", [x, weight, held], out, "Conv2DOptions", **options)

    x = source = file.tensor("input", (1, 224, 224, 3), "uint8", 1 / 128, 128)
    scales[x] = 1 / 128
    side = 112
    x = layer("features.0.0", x, side, stride=2)
    x = layer("features.1.conv.0.0", x, side, depthwise=True)
    x = layer("features.1.conv.1", x, side, relu6=False)
    for k in range(2, 18):
        stride = 2 if k in (2, 4, 7, 14) else 1
        y = layer(f"features.{k}.conv.0.0", x, side)
        side //= stride
        y = layer(f"features.{k}.conv.1.0", y, side, stride=stride, depthwise=True)
        y = layer(f"features.{k}.conv.2", y, side, relu6=False)
        if f"features.{k}.add.out_scale" in state:
            channels = len(state[f"features.{k}.conv.2.weight_q"])
            out = activation(f"features.{k}.add", (1, side, side, channels), f"features.{k}.add")
            y = file.operator("ADD", [x, y], out, "AddOptions", FusedActivationFunction=NONE)
        x = y
    x = layer("features.18.0", x, side)
    pooled = file.tensor("pool", (1, 1, 1, 1280), "uint8", scales[x], 0)
    scales[pooled] = scales[x]
    file.operator(
        "AVERAGE_POOL_2D", [x], pooled, "Pool2DOptions",
        Padding=VALID, StrideW=7, StrideH=7, FilterWidth=7, FilterHeight=7, FusedActivationFunction=NONE,
    )  # fmt: skip
    state["classifier.1.weight_q"] = state["classifier.1.weight_q"].reshape(-1, 1280, 1, 1)
    logits = layer("classifier.1", pooled, 1, relu6=False)
    result = file.tensor("logits", (1, 1001), "uint8", scales[logits], int(number("classifier.1.out_zero")))
    shape = file.tensor("shape", (2,), "int32", data=np.array([1, 1001], np.int32))
    file.operator("RESHAPE", [logits, shape], result)
    file.save(path, source, result)
