"""What a site's codec does to its values as QONNX: a model a site, activations x in and reconstructions x̂ out.

    x ─▶ Sub zero ─▶ Conv P + bias + half ─▶ Mul 2^−s ─▶ Quant b bits, unsigned, FLOOR     codes: what the stream holds
      ─▶ Mul 2^e ─▶ Conv R + bias' + half ─▶ Mul 2^−t ─▶ Floor ─▶ Add zero ─▶ Clip low…high ─▶ x̂

x and x̂ are the integers 0…255 as floats, N×C×H×W, channels in stored order; a network with a QONNX ``Quant`` of the
site's scale and zero point stores just these, so that the model can stand behind it, divided and multiplied by the
scale. The rounding of format v1 (halves towards +∞) is a floor with half a step added to the bias, so it is the same in
every runtime. The stream itself, which loses nothing, is not part of the model. All sums are integers below 2^24:
float32 is exact.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actcodec.errors import ActcodecError
from actcodec.files import write_bytes, write_json
from actcodec.tables import SiteTable, Tables, digest_of

DOMAIN = "qonnx.custom_op.general"
_OPSET = 13
_IR_VERSION = 8
_EXACT = 1 << 24
"""Integers of at most this size, and their sums, are exact in float32."""
_TOP = 255

Array = NDArray[Any]


def write_qonnx(directory: Path, tables: Tables) -> tuple[Path, ...]:
    """Write a model a site into ``directory``, and ``sites.json``; return their paths.

    Raises ActcodecError where the package onnx is missing, a site is folded or stores nothing, or a sum could leave
    the integers that float32 holds.
    """
    try:
        onnx = importlib.import_module("onnx")
    except ImportError as error:
        problem = f"needs the package onnx (pip install 'actcodec[loaders]'): {error}"
        raise ActcodecError("export to qonnx", problem) from error
    models = [
        (f"{number:02}-{_file_name(site)}.onnx", site_model(site, onnx)) for number, site in enumerate(tables.sites)
    ]
    directory.mkdir(parents=True, exist_ok=True)
    for name, model in models:
        write_bytes(directory / name, model.SerializeToString())
    entries = [_entry(site, name) for site, (name, _) in zip(tables.sites, models, strict=True)]
    source = tables.provenance
    summary = {"digest": digest_of(tables), "network": source.network, "dataset": source.dataset, "sites": entries}
    write_json(directory / "sites.json", summary)
    return (*(directory / name for name, _ in models), directory / "sites.json")


def _file_name(site: SiteTable) -> str:
    return re.sub(r"[^\w.-]", "_", site.info.name, flags=re.ASCII)


def _entry(site: SiteTable, name: str) -> dict[str, Any]:
    info = site.info
    return {
        "site": info.name,
        "file": name,
        "scale": info.scale,
        "zero": info.zero,
        "shape": [info.channels, info.height, info.width],
        "channel_order": site.arrays.channel_order.tolist(),
        "bits_per_value": 8 * site.sizes(1).stream_bytes / info.values,
    }


def site_model(site: SiteTable, onnx: Any) -> Any:
    """Return the ONNX model of one site; coefficients of width 0 have no channel in it.

    Raises ActcodecError as `write_qonnx` does.
    """
    info = site.info
    if info.transform == "folded":
        raise ActcodecError(
            f"site {info.name}", "is folded: its coefficients are computed by the convolution before it"
        )
    # Coefficients of one width after the other: a Quant has one number of bits.
    width = site.arrays.width
    groups = [np.flatnonzero(width == bits) for bits in np.unique(width) if bits]
    if not groups:
        raise ActcodecError(f"site {info.name}", "stores nothing; x̂ is the same everywhere")
    kept = np.concatenate(groups)
    _check_exact(site, kept)
    graph = _Graph(onnx)
    x = graph.node("Sub", "x", graph.constant("zero", np.float32(info.zero), "UINT8"), "centred")
    raised = [_coefficients(graph, site, group, x) for group in groups]
    coefficients = raised[0] if len(raised) == 1 else graph.node("Concat", *raised, "raised", axis=1)
    shown = _decoder(graph, site, kept, coefficients)
    limits = [graph.constant(name, np.float32(getattr(info, name))) for name in ("low", "high")]
    graph.node("Clip", shown, *limits, "xhat")
    return graph.model(info.name, (info.channels, info.height, info.width))


def _coefficients(graph: _Graph, site: SiteTable, group: Array, x: str) -> str:
    """Nodes from x − zero to the coefficients of ``group``, all of one width, shifted left by e."""
    arrays = site.arrays
    bits = int(arrays.width[group[0]])
    shift = arrays.shift[group].astype(np.int64)
    bias = arrays.bias[group] + np.where(shift > 0, 1 << np.maximum(shift - 1, 0), 0)
    acc = _matrix(graph, f"P{bits}", _forward(site)[group], x, bias)
    down = graph.constant(f"down{bits}", _column(2.0 ** -shift.astype(np.float64)))
    numbers = {"one": 1, "nothing": 0, f"bits{bits}": bits}
    codes = graph.node(
        "Quant",
        graph.node("Mul", acc, down, f"scaled{bits}"),
        *(graph.constant(name, np.float32(value)) for name, value in numbers.items()),
        f"codes{bits}",
        domain=DOMAIN,
        signed=0,
        narrow=0,
        rounding_mode="FLOOR",
    )
    graph.annotate(codes, f"UINT{bits}")
    return graph.node(
        "Mul", codes, graph.constant(f"up{bits}", _column(2.0 ** arrays.left_shift[group])), f"raised{bits}"
    )


def _decoder(graph: _Graph, site: SiteTable, kept: Array, coefficients: str) -> str:
    """Nodes from the coefficients, in the order of ``kept``, to x̂ before it is clamped."""
    t = site.info.output_shift
    bias = site.arrays.bias_out.astype(np.int64) + (1 << (t - 1) if t else 0)
    acc = _matrix(graph, "R", _backward(site)[:, kept], coefficients, bias)
    scaled = graph.node("Mul", acc, graph.constant("last", np.float32(2.0**-t)), "restored")
    return graph.node("Add", graph.node("Floor", scaled, "whole"), "zero", "shown")


def _matrix(graph: _Graph, name: str, matrix: Array, x: str, bias: Array) -> str:
    """matrix · x + bias at every position: a 1×1 convolution, or products by channel of a diagonal in order."""
    if matrix.shape[0] == matrix.shape[1] and not matrix[~np.eye(len(matrix), dtype=bool)].any():
        product = graph.node("Mul", x, graph.constant(name, _column(np.diag(matrix)), "INT8"), f"{name}x")
    else:
        weight = graph.constant(name, matrix.astype(np.float32)[:, :, None, None], "INT8")
        product = graph.node("Conv", x, weight, f"{name}x", kernel_shape=[1, 1])
    return graph.node("Add", product, graph.constant(f"{name}_bias", _column(bias), "INT32"), f"{name}_acc")


def _column(values: Array) -> Array:
    """A value a channel, 1×N×1×1 as float32."""
    return np.asarray(values, np.float32).reshape(1, -1, 1, 1)


def _forward(site: SiteTable) -> Array:
    """P as a K×C matrix."""
    dense = np.zeros((site.coefficients, site.info.channels), np.int64)
    for block in site.info.blocks:
        c, k = slice(*block.channels), slice(*block.coefficients)
        dense[k, c] = site.arrays.P[k, : c.stop - c.start]
    return dense


def _backward(site: SiteTable) -> Array:
    """R as a C×K matrix."""
    dense = np.zeros((site.info.channels, site.coefficients), np.int64)
    for block in site.info.blocks:
        c, k = slice(*block.channels), slice(*block.coefficients)
        dense[c, k] = site.arrays.R[c, : k.stop - k.start]
    return dense


def _check_exact(site: SiteTable, kept: Array) -> None:
    """Raise ActcodecError where a sum, in any order of its terms, could leave what float32 holds exactly."""
    info, arrays = site.info, site.arrays
    widest = max(info.zero, _TOP - info.zero)
    shift = arrays.shift.astype(np.int64)
    sums = (
        np.abs(_forward(site)).sum(1) * widest + np.abs(arrays.bias.astype(np.int64)) + (1 << np.maximum(shift, 1) >> 1)
    )
    largest = ((1 << arrays.width.astype(np.int64)) - 1) << arrays.left_shift
    t = info.output_shift
    outputs = (
        np.abs(_backward(site)[:, kept]) @ largest[kept] + np.abs(arrays.bias_out.astype(np.int64)) + (1 << t >> 1)
    )
    for what, reached in (("encoder", sums[kept]), ("decoder", outputs)):
        if int(reached.max()) > _EXACT:
            problem = f"{what} sums can reach {int(reached.max())}, more than the {_EXACT} that float32 holds exactly"
            raise ActcodecError(f"site {info.name}", problem)


class _Graph:
    """Nodes and constants, with the integer types that QONNX calls FINN datatypes."""

    def __init__(self, onnx: Any) -> None:
        self._onnx = onnx
        self._nodes: list[Any] = []
        self._tensors: list[Any] = []
        self._types: dict[str, str] = {}

    def constant(self, name: str, array: Any, datatype: str | None = None) -> str:
        """Add a constant, once a name."""
        if name not in (tensor.name for tensor in self._tensors):
            self._tensors.append(self._onnx.numpy_helper.from_array(np.asarray(array, np.float32), name))
        if datatype is not None:
            self.annotate(name, datatype)
        return name

    def annotate(self, tensor: str, datatype: str) -> None:
        """Note the integers that ``tensor`` holds."""
        self._types[tensor] = datatype

    def node(self, kind: str, *names: str, domain: str = "", **attributes: Any) -> str:
        """Add a node; the last of ``names`` is its output."""
        *inputs, output = names
        self._nodes.append(
            self._onnx.helper.make_node(kind, inputs, [output], name=output, domain=domain, **attributes)
        )
        return output

    def model(self, name: str, shape: tuple[int, int, int]) -> Any:
        """The model of x N×C×H×W, ``shape``, to x̂."""
        helper, real = self._onnx.helper, self._onnx.TensorProto.FLOAT
        ends = [helper.make_tensor_value_info(end, real, ["N", *shape]) for end in ("x", "xhat")]
        graph = helper.make_graph(self._nodes, name, ends[:1], ends[1:], self._tensors)
        self._types |= {"x": "UINT8", "xhat": "UINT8"}
        for tensor, datatype in self._types.items():
            annotation = self._onnx.TensorAnnotation(tensor_name=tensor)
            entry = self._onnx.StringStringEntryProto(key="finn_datatype", value=datatype)
            annotation.quant_parameter_tensor_names.append(entry)
            graph.quantization_annotation.append(annotation)
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(DOMAIN, 1)]
        return helper.make_model(graph, producer_name="actcodec", opset_imports=opsets, ir_version=_IR_VERSION)
