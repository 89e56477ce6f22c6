"""The order of channels inside the sites, changed by reordering weights.

A site that stores original channel o_p at place p costs nothing at run time: whatever writes it has its outputs
reordered, whatever reads it its inputs.

    output channels    W′[p] = W[o_p],  b′[p] = b[o_p]         Conv2d, Linear; depthwise Conv2d, BatchNorm2d, PReLU
    input channels     W′[:, p] = W[:, o_p]                    Conv2d; Linear after global pooling or on a 1×1 map
    input features     W′[:, p·k + i] = W[:, o_p·k + i]        Linear on a flattened map of k = H·W positions a channel

Tensors between an output and an input are *tied*: they have the same order. Elementwise operations, window and adaptive
pooling, means over positions, flattening, slices and padding of positions keep the order of their operands, and
operands of one operation are tied to each other. Any other operation, and the network's output, *freezes* the tensors
that it reads: they and all that is tied to them keep their order.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn
from torch.nn import functional

from actcodec.errors import ActcodecError
from actcodec.networks.fusion import stored_groups
from actcodec.networks.sites import SiteSpec
from actcodec.networks.tracing import data_users, module_of, trace

Order = NDArray[np.int64]

_ELEMENTWISE_MODULES: tuple[type[nn.Module], ...] = (
    *(nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.SiLU, nn.GELU, nn.Mish),
    *(nn.Softplus, nn.Sigmoid, nn.Tanh, nn.Hardswish, nn.Hardsigmoid, nn.Identity, nn.Dropout, nn.Dropout2d),
)
_ELEMENTWISE_FUNCTIONS: tuple[object, ...] = (
    *(functional.relu, torch.relu, torch.relu_, functional.relu6, functional.hardtanh, functional.leaky_relu),
    *(functional.elu, functional.selu, functional.celu, functional.silu, functional.gelu, functional.mish),
    *(functional.softplus, functional.hardswish, functional.hardsigmoid, torch.sigmoid, torch.tanh),
    *(functional.dropout, functional.dropout2d, torch.clamp, torch.fake_quantize_per_tensor_affine),
    *(operator.add, operator.iadd, operator.sub, operator.isub, operator.mul, operator.imul),
    *(operator.truediv, operator.itruediv, operator.neg, torch.add, torch.sub, torch.mul, torch.div, torch.neg),
)
_ELEMENTWISE_METHODS = (
    *("relu", "relu_", "sigmoid", "sigmoid_", "tanh", "tanh_", "clamp", "clamp_", "contiguous", "clone"),
    *("add", "add_", "sub", "sub_", "mul", "mul_", "div", "div_", "neg"),
)
# Over the last two axes. Functions that also return indices are others.
_WINDOW_MODULES: tuple[type[nn.Module], ...] = (
    *(nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveMaxPool2d, nn.AdaptiveAvgPool2d, nn.ZeroPad2d),
)
_WINDOW_FUNCTIONS: tuple[object, ...] = (
    *(functional.max_pool2d, torch.max_pool2d, functional.avg_pool2d),
    *(functional.adaptive_max_pool2d, functional.adaptive_avg_pool2d),
)


def permutable_classes(folded: fx.GraphModule, sites: Sequence[SiteSpec]) -> tuple[tuple[int, ...], ...]:
    """Return the sites whose channel order may be changed, by index, in classes that have to share one order.

    ``folded`` is a network as `fold_batchnorm` returns it, ``sites`` those of `find_sites` for it. Classes and their
    members ascend; a site that is in none has to keep its order.
    """
    classes: dict[int, list[int]] = {}
    for index, tie in sorted(_site_ties(_Walk(folded), sites).items()):
        classes.setdefault(tie, []).append(index)
    return tuple(tuple(members) for members in classes.values())


@dataclass(frozen=True)
class ChannelTie:
    """Channels that many tensors share, one by one: all of them keep a channel or none does.

    ``modules`` are the layers and norms with these channels, as (module path, axis of their parameters and buffers);
    ``nodes`` the graph's nodes whose values have them.
    """

    modules: tuple[tuple[str, int], ...]
    nodes: tuple[fx.Node, ...]


def channel_ties(traced: fx.GraphModule) -> tuple[ChannelTie, ...]:
    """Return the ties of ``traced`` whose channels nothing but the layers that are named depends on.

    Those of the network's output, and of operations that are not understood, are left out.
    """
    walk = _Walk(traced)
    modules: dict[int, list[tuple[str, int]]] = {}
    nodes: dict[int, list[fx.Node]] = {}
    for fold in walk.folds:
        modules.setdefault(walk.ties.root(fold.tie), []).append((fold.module, fold.axis))
    for node, axis in walk.axes.items():
        nodes.setdefault(walk.ties.root(axis.tie), []).append(node)
    return tuple(
        ChannelTie(tuple(folds), tuple(nodes[tie])) for tie, folds in modules.items() if not walk.ties.frozen(tie)
    )


def permute_channels(
    folded: fx.GraphModule, sites: Sequence[SiteSpec], orders: Mapping[int, NDArray[np.int64]]
) -> fx.GraphModule:
    """Return a copy of ``folded`` whose site i stores original channel ``orders[i][p]`` at place p.

    ``orders[i]`` is (C,); sites without an entry keep their order. The copy computes the same function, up to the
    rounding of sums whose terms changed places; permuting it by the inverse orders gives ``folded`` back, bit by bit.
    Raises ActcodecError for an index that is no site, a site that is in none of the `permutable_classes`, an order
    that is no permutation of its channels, and members of a class without the same order.
    """
    walk = _Walk(folded)
    chosen = _orders_by_tie(_site_ties(walk, sites), sites, orders)
    permuted = trace(folded)
    for fold in walk.folds:
        order = chosen.get(walk.ties.root(fold.tie))
        if order is not None:
            _reorder(permuted.get_submodule(fold.module), fold.axis, order)
    return permuted.requires_grad_(False)


def _orders_by_tie(
    ties: Mapping[int, int], sites: Sequence[SiteSpec], orders: Mapping[int, NDArray[np.int64]]
) -> dict[int, Order]:
    """Return the order of every tie, having checked ``orders``."""
    named = {site.index: site for site in sites}
    for index, order in orders.items():
        if index not in named:
            raise ActcodecError("orders", f"there is no site {index}")
        where = f"site {named[index].name}"
        if index not in ties:
            raise ActcodecError(where, "its channels cannot be permuted: an operation depends on their order")
        channels = named[index].channels
        if not np.array_equal(np.sort(np.asarray(order)), np.arange(channels)):
            raise ActcodecError(where, f"the order given is no permutation of its {channels} channels")
    chosen: dict[int, Order] = {}
    first: dict[int, int] = {}
    for index, tie in sorted(ties.items()):
        holder = first.setdefault(tie, index)
        # A member without an order would keep its own, which is another one.
        if (index in orders) != (holder in orders) or not np.array_equal(orders.get(index, ()), orders.get(holder, ())):
            problem = f"must have the same order as site {named[holder].name}: their channels are tied"
            raise ActcodecError(f"site {named[index].name}", problem)
        if index in orders:
            chosen[tie] = np.asarray(orders[index], np.int64)
    return chosen


def _site_ties(walk: _Walk, sites: Sequence[SiteSpec]) -> dict[int, int]:
    """Return the tie of every site that is not frozen, by its index."""
    groups = stored_groups(walk.traced)
    ties: dict[int, int] = {}
    for site in sites:
        axis = walk.axes.get(groups[site.index].nodes[-1])
        if axis is not None and not walk.ties.frozen(axis.tie):
            ties[site.index] = walk.ties.root(axis.tie)
    return ties


def _reorder(module: nn.Module, axis: int, order: Order) -> None:
    """Reorder ``axis`` of every parameter and buffer of ``module`` that has it, in groups of k = its length / C."""

    def reordered(tensor: Tensor) -> Tensor:
        k = tensor.shape[axis] // len(order)
        places = torch.from_numpy((order[:, None] * k + np.arange(k)).reshape(-1))
        # As it lay in memory: convolutions are fastest channels last.
        return torch.empty_like(tensor).copy_(tensor.index_select(axis, places))

    # New tensors: other modules may share the old ones.
    for name, parameter in list(module.named_parameters(recurse=False)):
        if parameter.ndim > axis:
            setattr(module, name, nn.Parameter(reordered(parameter.data), requires_grad=parameter.requires_grad))
    for name, buffer in list(module.named_buffers(recurse=False)):
        if buffer.ndim > axis:
            setattr(module, name, reordered(buffer))


@dataclass(frozen=True)
class _Axis:
    """Axis 1, the channels, of a tensor with ``rank`` axes. With two axes a channel may have several features."""

    tie: int
    rank: int


@dataclass(frozen=True)
class _Fold:
    """Where an order goes: ``axis`` of the parameters and buffers of ``module`` (its path) is in the order of ``tie``.

    Axis 1 is that of the weight alone: biases, per-channel vectors and statistics have one axis.
    """

    module: str
    axis: int
    tie: int


class _Ties:
    """Channel axes with the same order: a forest of numbers, each root with its channel count, frozen or not."""

    def __init__(self) -> None:
        self._parent: list[int] = []
        self._channels: list[int] = []
        self._frozen: list[bool] = []

    def new(self, channels: int) -> int:
        self._parent.append(len(self._parent))
        self._channels.append(channels)
        self._frozen.append(False)
        return self._parent[-1]

    def root(self, tie: int) -> int:
        while self._parent[tie] != tie:
            tie = self._parent[tie]
        return tie

    def channels(self, tie: int) -> int:
        return self._channels[self.root(tie)]

    def frozen(self, tie: int) -> bool:
        return self._frozen[self.root(tie)]

    def freeze(self, tie: int) -> None:
        self._frozen[self.root(tie)] = True

    def join(self, a: int, b: int) -> None:
        a, b = self.root(a), self.root(b)
        # One channel broadcast over many has no order in common with them.
        self._frozen[a] = self._frozen[a] or self._frozen[b] or self._channels[a] != self._channels[b]
        self._parent[b] = a


class _Walk:
    """Follows the channel axes through ``traced``: ``axes`` of the tensors that are understood, and the ``folds``."""

    def __init__(self, traced: fx.GraphModule) -> None:
        self.traced = traced
        self.ties = _Ties()
        self.axes: dict[fx.Node, _Axis] = {}
        self.folds: list[_Fold] = []
        self._uses = _uses(traced)
        for node in traced.graph.nodes:
            sources = node.all_input_nodes
            if sources and all(node not in data_users(source) for source in sources):
                continue  # It asks for a shape, which no order changes.
            axis = self._follow(node)
            if axis is not None:
                self.axes[node] = axis
                continue
            for source in sources:
                if source in self.axes:
                    self.ties.freeze(self.axes[source].tie)

    def _follow(self, node: fx.Node) -> _Axis | None:
        """Return the channel axis of what ``node`` computes, None where it is not understood."""
        sources = node.all_input_nodes
        module = module_of(self.traced, node)
        if module is not None:
            return self._module(node, module, self.axes.get(sources[0])) if len(sources) == 1 else None
        if _is(node, _ELEMENTWISE_FUNCTIONS, _ELEMENTWISE_METHODS):
            return self._elementwise([self.axes.get(source) for source in sources])
        first = node.args[0] if node.args else None
        axis = self.axes.get(first) if isinstance(first, fx.Node) else None
        if axis is None:
            return None
        if _is(node, (torch.reshape,), ("reshape", "view")):
            return self._reshape(node, axis)
        if len(sources) > 1:
            return None
        if _is(node, _WINDOW_FUNCTIONS, ()):
            return axis if axis.rank == 4 else None
        if _is(node, (torch.mean,), ("mean",)):
            return _mean(node, axis)
        if _is(node, (torch.flatten,), ("flatten",)):
            return _flatten(_argument(node, 1, "start_dim", 0), _argument(node, 2, "end_dim", -1), axis)
        if _is(node, (operator.getitem,), ()):
            return _slice(node.args[1], axis)
        if _is(node, (functional.pad,), ()):
            return axis if len(_argument(node, 1, "pad", ())) <= 2 * (axis.rank - 2) else None
        return None

    def _module(self, node: fx.Node, module: nn.Module, axis: _Axis | None) -> _Axis | None:
        path = str(node.target)
        # Types are compared exactly: a subclass (a parametrised convolution) may compute its weights.
        if module._forward_hooks or module._forward_pre_hooks:
            return None
        if type(module) is nn.Conv2d and self._uses[module] == 1 and (axis is None or axis.rank == 4):
            return self._convolution(path, module, axis)
        if axis is None:
            return None
        if type(module) in _ELEMENTWISE_MODULES or (type(module) is nn.PReLU and module.num_parameters == 1):
            return axis
        if type(module) in _WINDOW_MODULES:
            return axis if axis.rank == 4 and not getattr(module, "return_indices", False) else None
        if type(module) is nn.Flatten:
            return _flatten(module.start_dim, module.end_dim, axis)
        # From here on the module's own tensors are reordered, which nothing else may depend on.
        if self._uses[module] > 1:
            return None
        channels = self.ties.channels(axis.tie)
        if type(module) is nn.Linear and axis.rank == 2 and module.in_features % channels == 0:
            return self._weighted(path, axis, module.out_features)
        if type(module) is nn.PReLU and module.num_parameters != channels:
            return None
        if type(module) is nn.PReLU or (type(module) is nn.BatchNorm2d and axis.rank == 4):
            self.folds.append(_Fold(path, 0, axis.tie))
            return axis
        return None

    def _convolution(self, path: str, conv: nn.Conv2d, axis: _Axis | None) -> _Axis | None:
        if conv.groups == 1:
            return self._weighted(path, axis, conv.out_channels)
        if axis is None or not conv.groups == conv.in_channels == conv.out_channels:
            return None
        self.folds.append(_Fold(path, 0, axis.tie))
        return axis

    def _weighted(self, path: str, axis: _Axis | None, outputs: int) -> _Axis:
        """A layer whose outputs are sums over all inputs: its inputs' order (where known) ends, another begins."""
        if axis is not None:
            self.folds.append(_Fold(path, 1, axis.tie))
        tie = self.ties.new(outputs)
        self.folds.append(_Fold(path, 0, tie))
        return _Axis(tie, 4 if axis is None else axis.rank)

    def _elementwise(self, operands: Sequence[_Axis | None]) -> _Axis | None:
        """Tie all operands; None where one has no known order or stands in other axes."""
        known = [axis for axis in operands if axis is not None]
        if not known or len(known) < len(operands) or len({axis.rank for axis in known}) > 1:
            return None
        for axis in known[1:]:
            self.ties.join(known[0].tie, axis.tie)
        return known[0]

    def _reshape(self, node: fx.Node, axis: _Axis) -> _Axis | None:
        """To (batch size, anything): what it has is then a row of features an image."""
        shape = node.args[1] if len(node.args) == 2 else node.args[1:]
        if isinstance(shape, Sequence) and len(shape) == 2 and self._is_batch_size(shape[0]):
            return _Axis(axis.tie, 2) if isinstance(shape[1], int) else None
        return None

    def _is_batch_size(self, value: Any) -> bool:
        """Whether ``value`` is t.size(0), t.size()[0] or t.shape[0] of the network's input or a known tensor t."""
        if not isinstance(value, fx.Node):
            return False
        if _is(value, (operator.getitem,), ()) and value.args[1] == 0:
            value = value.args[0]
            asks = _is(value, (), ("size",)) and len(value.args) == 1 and not value.kwargs
            asks = asks or (_is(value, (getattr,), ()) and value.args[1] == "shape")
        else:
            asks = _is(value, (), ("size",)) and value.args[1:] == (0,)
        return asks and (value.args[0] in self.axes or value.args[0].op == "placeholder")


def _uses(traced: fx.GraphModule) -> Counter[nn.Module]:
    """Count the calls of every module together with the reads of its parameters."""
    uses: Counter[nn.Module] = Counter()
    for node in traced.graph.nodes:
        if node.op == "call_module":
            uses[traced.get_submodule(str(node.target))] += 1
        elif node.op == "get_attr":
            uses[traced.get_submodule(str(node.target).rpartition(".")[0])] += 1
    return uses


def _is(node: fx.Node, functions: Sequence[object], methods: Sequence[str]) -> bool:
    """Whether ``node`` calls one of ``functions`` or ``methods``."""
    return (node.op == "call_function" and node.target in functions) or (
        node.op == "call_method" and node.target in methods
    )


def _mean(node: fx.Node, axis: _Axis) -> _Axis | None:
    """Over positions, channels kept."""
    dims = _argument(node, 1, "dim", None)
    dims = (dims,) if isinstance(dims, int) else tuple(dims or ())
    if not dims or any(dim % axis.rank < 2 for dim in dims):
        return None
    keeps = _argument(node, 2, "keepdim", False)
    return axis if keeps else _Axis(axis.tie, axis.rank - len(dims))


def _flatten(start: int, end: int, axis: _Axis) -> _Axis | None:
    """To one row of features an image, channel after channel."""
    whole = (start % axis.rank, end % axis.rank) == (1, axis.rank - 1)
    return _Axis(axis.tie, 2) if whole else None


def _slice(index: Any, axis: _Axis) -> _Axis | None:
    """Of positions, all images and all channels kept."""
    slices = isinstance(index, tuple) and len(index) <= axis.rank and all(isinstance(part, slice) for part in index)
    return axis if slices and all(part == slice(None) for part in index[:2]) else None


def _argument(node: fx.Node, place: int, name: str, default: Any) -> Any:
    return node.args[place] if len(node.args) > place else node.kwargs.get(name, default)
