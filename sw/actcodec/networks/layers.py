"""The layer graph of a network (`actcodec.graph`), found by tracing: groups as of `fusion`, sites as of `sites`.

Slices, channel padding, flattening and what works value by value outside a group are done by the layer that reads.
Pooling, additions and other operations between groups are layers of their own, whose output is no site.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional

from actcodec.errors import ActcodecError
from actcodec.graph.model import Axis, Layer, LayerGraph, LayerKind, Read, Role, Tensor
from actcodec.networks.fusion import fused_groups, live_nodes, stored_groups
from actcodec.networks.tracing import module_of, trace_with_shapes

_POOLS = (nn.MaxPool2d, nn.AvgPool2d)
_POOL_FUNCTIONS = (functional.max_pool2d, torch.max_pool2d, functional.avg_pool2d)
_ADAPTIVE = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
_ADAPTIVE_FUNCTIONS = (functional.adaptive_avg_pool2d, functional.adaptive_max_pool2d)
_ADDITIONS = (operator.add, operator.iadd, torch.add)


_HERE = Axis()


@dataclass(frozen=True)
class _View:
    """What a node holds: some positions of a tensor, the windows being those of one row and column of the node."""

    tensor: str
    rows: Axis = _HERE
    columns: Axis = _HERE
    flat: bool = False
    """All positions at once, as a vector."""


def layer_graph(name: str, model: nn.Module, input_shape: tuple[int, int, int]) -> LayerGraph:
    """Return the layers of ``model``, called ``name``, for one image of C×H×W ``input_shape``.

    Raises ActcodecError where the network cannot be traced or does not take such an image.
    """
    return _Builder(name, model, input_shape).build()


class _Builder:
    """Goes through the traced nodes once and notes tensors and layers."""

    def __init__(self, name: str, model: nn.Module, input_shape: tuple[int, int, int]) -> None:
        self._name = name
        self._traced = trace_with_shapes(model, input_shape)
        self._groups = {group.nodes[0]: group for group in fused_groups(self._traced)}
        self._inside = {node for group in self._groups.values() for node in group.nodes[1:]}
        self._sites = {group.nodes[0] for group in stored_groups(self._traced)}
        self._live = live_nodes(self._traced)
        self._views: dict[fx.Node, _View] = {}
        self._tensors: dict[str, Tensor] = {}
        self._layers: dict[fx.Node, Layer] = {}

    def build(self) -> LayerGraph:
        nodes = list(self._traced.graph.nodes)
        # A group is computed when its last operand is there: at its last node.
        last = {group.nodes[-1]: group.nodes[0] for group in self._groups.values()}
        for node in nodes:
            if node not in self._live or "shape" not in node.meta:
                continue
            if node in last:
                self._group(last[node])
            elif node not in self._inside and node not in self._groups:
                self._single(node)
        if not self._layers:
            raise ActcodecError(f"network {self._name}", "has no layer")
        return LayerGraph(
            network=self._name, tensors=tuple(self._tensors.values()), layers=tuple(self._layers.values())
        )

    # --- nodes

    def _single(self, node: fx.Node) -> None:
        """A node outside the groups: the input, a view of a tensor, or a layer of its own."""
        module, sources = module_of(self._traced, node), self._sources(node)
        if node.op == "placeholder":
            self._views[node] = self._tensor("input", node)
        elif not sources:
            return
        elif isinstance(module, nn.Linear):
            self._linear(node, module, self._views[sources[0]])
        elif (window := self._pooling(node)) is not None:
            self._layer(node, "pool", [self._read(self._views[sources[0]], *window)], kernel=window)
        elif len(sources) > 1:
            kind: LayerKind = "add" if node.target in _ADDITIONS else "other"
            self._layer(node, kind, [self._read(self._views[source]) for source in sources])
        else:
            self._views[node] = self._viewed(node, self._views[sources[0]])

    def _sources(self, node: fx.Node) -> list[fx.Node]:
        return [source for source in node.all_input_nodes if source in self._views]

    def _group(self, first: fx.Node) -> None:
        """A convolution with what is fused; its reads are seen from the last node of the group."""
        group = self._groups[first]
        module = module_of(self._traced, first)
        assert isinstance(module, nn.Conv2d)
        reads: list[tuple[_View, Role, Axis, Axis]] = []
        fused: list[str] = []
        for node in group.nodes:
            if node is first:
                view = self._views[self._sources(first)[0]]
                reads.append((view, "operand", *_windows(module.kernel_size, module.stride, *_pads(module))))
                continue
            if (window := self._pooling(node)) is not None:
                reads = [
                    (view, role, rows.then(window[0]), columns.then(window[1])) for view, role, rows, columns in reads
                ]
            # An operand that is no group's own is a shortcut.
            reads += [(self._views[source], "shortcut", Axis(), Axis()) for source in self._sources(node)]
            fused.append(self._label(node))
        if module.groups == 1:
            kind: LayerKind = "conv"
        else:
            kind = "depthwise" if module.groups == module.in_channels == module.out_channels else "grouped"
        _, outputs, height, width = first.meta["shape"]
        weights = module.weight.numel()
        name = str(first.target)
        self._layers[first] = Layer(
            name=name,
            kind=kind,
            reads=tuple(_composed(view, role, rows, columns) for view, role, rows, columns in reads),
            output=name,
            inputs=module.in_channels,
            outputs=outputs,
            height=height,
            width=width,
            kernel=_pair(module.kernel_size),
            stride=_pair(module.stride),
            padding=_pads(module),
            groups=module.groups,
            macs=weights * height * width,
            weight_bytes=weights,
            fused=tuple(fused),
        )
        self._views[group.nodes[-1]] = self._tensor(name, group.nodes[-1], name if first in self._sites else None)

    def _linear(self, node: fx.Node, module: nn.Linear, view: _View) -> None:
        tensor = self._tensors[view.tensor]
        flat = view if module.in_features == tensor.values else replace(view, flat=False)
        if module.in_features not in (tensor.values, tensor.channels):
            raise ActcodecError(f"module {node.target}", f"takes {module.in_features} values of {tensor.values}")
        positions = math.prod(node.meta["shape"][1:-1])
        if positions > 1:
            raise ActcodecError(f"module {node.target}", "is a linear layer over positions; use a 1×1 convolution")
        if flat.flat or tensor.height * tensor.width > 1:
            flat = _View(tensor.name, *_whole(tensor))
        weights = module.weight.numel()
        self._layer(
            node,
            "linear",
            [Read(tensor=flat.tensor, rows=flat.rows, columns=flat.columns)],
            inputs=module.in_features,
            macs=weights,
            weight_bytes=weights,
        )

    def _layer(
        self,
        node: fx.Node,
        kind: LayerKind,
        reads: Sequence[Read],
        *,
        kernel: tuple[Axis, Axis] = (Axis(), Axis()),
        inputs: int | None = None,
        macs: int = 0,
        weight_bytes: int = 0,
    ) -> None:
        """A layer of one node, named after its module or itself."""
        name = str(node.target) if node.op == "call_module" else node.name
        view = self._tensor(name, node)
        tensor = self._tensors[name]
        self._layers[node] = Layer(
            name=name,
            kind=kind,
            reads=tuple(dict.fromkeys(reads)),
            output=name,
            inputs=self._tensors[reads[0].tensor].channels if inputs is None else inputs,
            outputs=tensor.channels,
            height=tensor.height,
            width=tensor.width,
            kernel=(kernel[0].kernel, kernel[1].kernel),
            stride=(kernel[0].stride, kernel[1].stride),
            padding=(max(0, kernel[0].pad), max(0, kernel[1].pad)),
            macs=macs,
            weight_bytes=weight_bytes,
        )
        self._views[node] = view

    def _tensor(self, name: str, node: fx.Node, site: str | None = None) -> _View:
        shape = node.meta["shape"]
        if name in self._tensors:
            raise ActcodecError(f"module {name}", "is called several times; every layer needs a module of its own")
        _, channels, height, width = shape if len(shape) == 4 else (1, math.prod(shape[1:]), 1, 1)
        self._tensors[name] = Tensor(name=name, channels=channels, height=height, width=width, site=site)
        return _View(name)

    def _label(self, node: fx.Node) -> str:
        module = module_of(self._traced, node)
        named = type(module) if module is not None else node.target
        return str(getattr(named, "__name__", named)).lower()

    # --- windows

    def _read(self, view: _View, rows: Axis = Axis(), columns: Axis = Axis()) -> Read:
        if view.flat:
            return Read(tensor=view.tensor, rows=view.rows, columns=view.columns)
        return _composed(view, "operand", rows, columns)

    def _pooling(self, node: fx.Node) -> tuple[Axis, Axis] | None:
        """The windows of a pooling node, None for any other."""
        module, target = module_of(self._traced, node), node.target
        if isinstance(module, _POOLS):
            return _windows(module.kernel_size, module.stride, *_pair(module.padding))
        if target in _POOL_FUNCTIONS and node.op == "call_function":
            kernel = _argument(node, 1, "kernel_size", 1)
            stride = _argument(node, 2, "stride", None)
            return _windows(kernel, stride or kernel, *_pair(_argument(node, 3, "padding", 0)))
        of_mean = node.target in ("mean", torch.mean) and len(node.meta["shape"]) < 4
        if not (isinstance(module, _ADAPTIVE) or target in _ADAPTIVE_FUNCTIONS or of_mean):
            if node.target in ("mean", torch.mean) and tuple(node.meta["shape"][-2:]) == (1, 1):
                of_mean = True
            else:
                return None
        source = node.all_input_nodes[0].meta["shape"]
        if len(source) != 4:
            return None
        outputs = (1, 1) if of_mean else node.meta["shape"][-2:]
        strides = [given // made for given, made in zip(source[-2:], outputs, strict=True)]
        rows, columns = (
            Axis(kernel=given - (made - 1) * stride, stride=stride)
            for given, made, stride in zip(source[-2:], outputs, strides, strict=True)
        )
        return rows, columns

    def _viewed(self, node: fx.Node, view: _View) -> _View:
        """The view that a node with one operand makes of ``view``: a slice, padding, flattening, or the same."""
        tensor = self._tensors[view.tensor]
        before, after = node.all_input_nodes[0].meta["shape"], node.meta["shape"]
        if len(before) == 4 and len(after) != 4:
            return view if before[-2:] == (1, 1) else _View(view.tensor, *_whole(tensor), flat=True)
        if node.target is operator.getitem and isinstance(node.args[1], tuple) and len(before) == len(after) == 4:
            rows, columns = (_slice(part) for part in (*node.args[1], *[slice(None)] * 4)[2:4])
            return replace(view, rows=view.rows.then(rows), columns=view.columns.then(columns))
        if len(before) == len(after) == 4 and before[-2:] != after[-2:] and not view.flat:
            # Spatial padding; half of it before the first position.
            pads = [(made - given) // 2 for given, made in zip(before[-2:], after[-2:], strict=True)]
            if min(pads) < 0:
                return _View(view.tensor, *_whole(tensor), flat=True)
            rows, columns = (Axis(pad=pad) for pad in pads)
            return replace(view, rows=view.rows.then(rows), columns=view.columns.then(columns))
        return view


def _composed(view: _View, role: Role, rows: Axis, columns: Axis) -> Read:
    return Read(tensor=view.tensor, role=role, rows=view.rows.then(rows), columns=view.columns.then(columns))


def _whole(tensor: Tensor) -> tuple[Axis, Axis]:
    return Axis(kernel=tensor.height, stride=tensor.height), Axis(kernel=tensor.width, stride=tensor.width)


def _windows(kernel: Any, stride: Any, *pads: int) -> tuple[Axis, Axis]:
    rows, columns = (
        Axis(kernel=k, stride=s, pad=p) for k, s, p in zip(_pair(kernel), _pair(stride), pads, strict=True)
    )
    return rows, columns


def _pads(module: nn.Conv2d) -> tuple[int, int]:
    """Rows and columns of padding in front, for ``padding`` as numbers or as a word."""
    if module.padding == "valid":
        return 0, 0
    if isinstance(module.padding, str):
        rows, columns = ((k - 1) // 2 for k in _pair(module.kernel_size))
        return rows, columns
    return _pair(module.padding)


def _pair(value: Any) -> tuple[int, int]:
    return (int(value[0]), int(value[-1])) if isinstance(value, Sequence) else (int(value), int(value))


def _slice(part: Any) -> Axis:
    if not isinstance(part, slice):
        return Axis()
    start = part.start if isinstance(part.start, int) and part.start > 0 else 0
    return Axis(stride=part.step or 1, pad=-start)


def _argument(node: fx.Node, place: int, name: str, default: Any) -> Any:
    return node.args[place] if len(node.args) > place else node.kwargs.get(name, default)
