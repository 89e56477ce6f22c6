"""Where a network stores an activation tensor, found by tracing it.

A *site* is the stored output of one fused group: convolution → [BatchNorm] → [+ shortcut] → [ReLU | ReLU6].
A residual addition joins the group of the operand that is computed last. The network's input and its logits
are not sites.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp
from torch.nn import functional

SiteFunction = Callable[[int, Tensor], Tensor]

_ADDITIONS = (operator.add, operator.iadd, torch.add)
_ACTIVATIONS: dict[object, str] = {
    functional.relu: "relu",
    torch.relu: "relu",
    functional.relu6: "relu6",
    nn.ReLU: "relu",
    nn.ReLU6: "relu6",
}


@dataclass(frozen=True)
class SiteSpec:
    """One site: ``name`` is its convolution's module path, ``index`` its place in execution order.

    ``channels``×``height``×``width`` values an image; ``activation`` is ``relu``, ``relu6`` or ``none``;
    ``readers`` counts the groups that read it (a block output read by a convolution and by a shortcut: 2);
    ``macs`` are the multiplications an image of the convolution that produces it.
    """

    name: str
    index: int
    channels: int
    height: int
    width: int
    activation: str
    readers: int
    macs: int

    @property
    def values(self) -> int:
        """Values of one image: channels·height·width."""
        return self.channels * self.height * self.width


@dataclass(frozen=True)
class _Group:
    """The nodes of one fused group, in order: the convolution first, the stored output last."""

    nodes: tuple[fx.Node, ...]
    activation: str


def find_sites(model: nn.Module, input_shape: tuple[int, int, int]) -> tuple[SiteSpec, ...]:
    """Return the sites of ``model`` for inputs of C×H×W = ``input_shape``, in execution order."""
    traced = _trace(model, input_shape)
    groups = _stored_groups(traced)
    return tuple(_describe(traced, groups, index) for index in range(len(groups)))


def network_macs(model: nn.Module, input_shape: tuple[int, int, int]) -> int:
    """Return the multiplications an image of all convolutions and linear layers."""
    traced = _trace(model, input_shape)
    return sum(_macs(traced, node) for node in traced.graph.nodes if node.op == "call_module")


class SitedNetwork(nn.Module):
    """``model`` with a tap at every site: ``forward(x, fn)`` gives all readers ``fn(site_index, tensor)``.

    ``sites`` are those of ``find_sites`` for the same model. The model is copied and shares nothing with it.
    """

    def __init__(self, model: nn.Module, sites: Sequence[SiteSpec]) -> None:
        super().__init__()
        traced = fx.symbolic_trace(copy.deepcopy(model).eval())
        groups = _stored_groups(traced)
        self.sites = tuple(sites)
        self._taps = [_Tap(site.index) for site in self.sites]
        for site, tap in zip(self.sites, self._taps, strict=True):
            stored = groups[site.index].nodes[-1]
            name = f"site_{site.index}"
            traced.add_submodule(name, tap)
            with traced.graph.inserting_after(stored):
                tapped = traced.graph.call_module(name, (stored,))
            stored.replace_all_uses_with(tapped)
            tapped.replace_input_with(tapped, stored)
        traced.recompile()
        self._traced = traced.requires_grad_(False)

    def forward(self, x: Tensor, fn: SiteFunction | None = None) -> Tensor:
        """Map inputs N×C×H×W to logits; where ``fn`` is given its value replaces every site's tensor."""
        for tap in self._taps:
            tap.fn = fn
        try:
            return self._traced(x)  # type: ignore[no-any-return]
        finally:
            for tap in self._taps:
                tap.fn = None


class _Tap(nn.Module):
    """Passes a site's tensor on, through ``fn`` where one is set."""

    def __init__(self, index: int) -> None:
        super().__init__()
        self.index = index
        self.fn: SiteFunction | None = None

    def forward(self, x: Tensor) -> Tensor:
        return x if self.fn is None else self.fn(self.index, x)


def _trace(model: nn.Module, input_shape: tuple[int, int, int]) -> fx.GraphModule:
    traced = fx.symbolic_trace(copy.deepcopy(model).eval())
    with torch.no_grad():
        ShapeProp(traced).propagate(torch.zeros(1, *input_shape))
    return traced


def _module(traced: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    return traced.get_submodule(str(node.target)) if node.op == "call_module" else None


def _stored_groups(traced: fx.GraphModule) -> list[_Group]:
    """Return the groups whose output some other group reads: all but one that ends in the logits."""
    order = _last_convolution(traced)
    groups = [_grow(traced, node, order) for node in traced.graph.nodes if isinstance(_module(traced, node), nn.Conv2d)]
    return [group for group in groups if any(user.op != "output" for user in group.nodes[-1].users)]


def _last_convolution(traced: fx.GraphModule) -> dict[fx.Node, int]:
    """Return for every node the number of the last convolution that its value depends on (−1: the input)."""
    last: dict[fx.Node, int] = {}
    count = 0
    for node in traced.graph.nodes:
        if isinstance(_module(traced, node), nn.Conv2d):
            last[node] = count
            count += 1
        else:
            last[node] = max((last[source] for source in node.all_input_nodes), default=-1)
    return last


def _grow(traced: fx.GraphModule, conv: fx.Node, order: dict[fx.Node, int]) -> _Group:
    """Follow ``conv`` through everything that is fused with it."""
    nodes = [conv]
    while len(nodes[-1].users) == 1:
        user = next(iter(nodes[-1].users))
        module = _module(traced, user)
        activation = _ACTIVATIONS.get(type(module) if module is not None else user.target)
        if activation is not None:
            return _Group((*nodes, user), activation)
        added_here = user.target in _ADDITIONS and order[user] == order[conv]
        if not (isinstance(module, nn.BatchNorm2d) or added_here):
            break
        nodes.append(user)
    return _Group(tuple(nodes), "none")


def _describe(traced: fx.GraphModule, groups: list[_Group], index: int) -> SiteSpec:
    conv, stored = groups[index].nodes[0], groups[index].nodes[-1]
    _, channels, height, width = stored.meta["tensor_meta"].shape
    return SiteSpec(
        name=str(conv.target),
        index=index,
        channels=channels,
        height=height,
        width=width,
        activation=groups[index].activation,
        readers=len(_readers(traced, groups, stored)),
        macs=_macs(traced, conv),
    )


def _readers(traced: fx.GraphModule, groups: list[_Group], stored: fx.Node) -> set[fx.Node]:
    """Return the first node of every group (or the linear layer) that reads ``stored``.

    Slices, padding and pooling on the way are addressing, not readers of their own.
    """
    owner = {node: group.nodes[0] for group in groups for node in group.nodes}
    readers: set[fx.Node] = set()
    pending = list(stored.users)
    while pending:
        node = pending.pop()
        if node in owner:
            readers.add(owner[node])
        elif node.op == "output" or isinstance(_module(traced, node), nn.Conv2d | nn.Linear):
            readers.add(node)
        else:
            pending.extend(node.users)
    return readers


def _macs(traced: fx.GraphModule, node: fx.Node) -> int:
    module = _module(traced, node)
    if isinstance(module, nn.Conv2d):
        _, _, height, width = node.meta["tensor_meta"].shape
        return int(module.weight.numel() * height * width)
    if isinstance(module, nn.Linear):
        return int(module.weight.numel())
    return 0
