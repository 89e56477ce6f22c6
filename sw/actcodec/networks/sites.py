"""Where a network stores an activation tensor.

A *site* is the stored output of one fused group (`fusion`), found by tracing: convolution → [BatchNorm] →
[+ shortcut] → [activation] → [window pooling]. A residual addition joins the group of the operand that is computed
last. The network's input and its logits are not sites. Where a network cannot be traced, its sites are the outputs
of modules named by hand.
"""

from __future__ import annotations

import copy
import math
import operator
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from torch import Tensor, fx, nn

from actcodec.errors import ActcodecError
from actcodec.networks.fusion import Group, stored_groups
from actcodec.networks.patches import Patches, stored_sites, to_patches, to_pixels
from actcodec.networks.ranges import ActivationRange
from actcodec.networks.tracing import module_of, run_once, trace, trace_with_shapes

SiteFunction = Callable[[int, Tensor], Tensor]
_OVERWRITING = {operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ipow, operator.setitem}


@dataclass(frozen=True)
class SiteSpec:
    """One site: ``name`` is its convolution's module path, ``index`` its place in execution order.

    ``channels``×``height``×``width`` values an image; ``activation`` is ``relu``, ``relu6`` or ``none`` (any other);
    ``readers`` counts the groups that read it (a block output read by a convolution and by a shortcut: 2);
    ``macs`` are the multiplications an image of the convolution that produces it. ``range`` are the 8-bit steps that
    the network itself stores the tensor in, None where it has none.
    """

    name: str
    index: int
    channels: int
    height: int
    width: int
    activation: str
    readers: int
    macs: int
    range: ActivationRange | None = None

    @property
    def values(self) -> int:
        """Values of one image: channels·height·width."""
        return self.channels * self.height * self.width


def find_sites(
    model: nn.Module, input_shape: tuple[int, int, int], site_modules: Sequence[str] = ()
) -> tuple[SiteSpec, ...]:
    """Return the sites of ``model`` for inputs of C×H×W = ``input_shape``, in execution order.

    ``site_modules`` names the modules (``layer1.0.relu``) whose outputs are the sites; the model is then run, not
    traced. Of such a site only the shape is known: ``activation`` is that of a ReLU or ReLU6 module, else ``none``;
    ``readers`` is 1, ``macs`` those of the convolutions inside the module.
    Raises ActcodecError where the model cannot be traced, has no site, or a named module is not a site.
    """
    if site_modules:
        return _named_sites(model, input_shape, site_modules)
    traced = trace_with_shapes(model, input_shape)
    groups = stored_groups(traced)
    if not groups:
        raise ActcodecError(f"network {type(model).__name__}", "has no convolution whose output is read by another")
    names = Counter(str(group.nodes[0].target) for group in groups)
    for name, calls in names.items():
        if calls > 1:
            raise ActcodecError(f"module {name}", f"is called {calls} times; every site needs a module of its own")
    return tuple(_describe(traced, groups, index) for index in range(len(groups)))


def network_macs(model: nn.Module, input_shape: tuple[int, int, int]) -> int:
    """Return the multiplications an image of all Conv2d and linear layers; the model is run, not traced."""
    return sum(_macs_by_module(model, input_shape).values())


class SitedNetwork(nn.Module):
    """``model`` with a tap at every site: ``forward(x, fn)`` gives all readers ``fn(site_index, tensor)``.

    ``sites`` are those of ``find_sites`` for the same model; ``by_module`` where it was given ``site_modules``.
    The model is copied and shares nothing with it; its parameters are frozen. Operations that work in place get a copy
    of what ``fn`` returned. ``graph`` is the traced network with its taps, None with ``by_module``.

    Sites with an index in ``folded`` have their tap in front of the activation: ``fn`` gets what the convolution
    computes and returns what readers get, which the activation must leave as it is. Of a site with ``patches`` ``fn``
    gets and returns the tensor in patches, and ``sites`` has its stored shape.
    """

    def __init__(
        self,
        model: nn.Module,
        sites: Sequence[SiteSpec],
        *,
        by_module: bool = False,
        folded: Collection[int] = (),
        patches: Patches = MappingProxyType({}),
    ) -> None:
        super().__init__()
        self.sites = stored_sites(sites, patches)
        self._taps = [Tap(site.index, patches.get(site.index, 1)) for site in self.sites]
        self.graph = None if by_module else _rewired(model, self.sites, self._taps, folded)
        self._tapped = (self.graph or _hooked(model, self.sites, self._taps)).requires_grad_(False)
        if self.graph is not None and not _works_in_place(self.graph):
            for tap in self._taps:
                tap.copies = False

    @property
    def network(self) -> nn.Module:
        """The copied network, taps included; its parameters may be trained."""
        return self._tapped

    def forward(self, x: Tensor, fn: SiteFunction | None = None) -> Tensor:
        """Map inputs N×C×H×W to logits; where ``fn`` is given its value replaces every site's tensor."""
        for tap in self._taps:
            tap.fn = fn
        try:
            return self._tapped(x)  # type: ignore[no-any-return]
        finally:
            for tap in self._taps:
                tap.fn = None


class Tap(nn.Module):
    """Passes a site's tensor on, through ``fn`` where one is set.

    ``copies``: readers get a copy, because one of them might work in place. ``patch``: side of the patches that ``fn``
    gets the tensor in.
    """

    def __init__(self, index: int, patch: int = 1) -> None:
        super().__init__()
        self.index, self.patch = index, patch
        self.copies = True
        self.fn: SiteFunction | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Return the tensor that readers of the site get."""
        return x if self.fn is None else self.through(self.fn, x)

    def through(self, fn: SiteFunction, x: Tensor) -> Tensor:
        """Return what readers get where ``fn`` is set."""
        out = to_pixels(fn(self.index, to_patches(x, self.patch)), self.patch)
        # Patches that are turned into pixels are a copy already.
        return out.clone() if self.copies and self.patch == 1 else out


def _works_in_place(traced: fx.GraphModule) -> bool:
    """Return whether any operation of the graph may overwrite what it reads."""
    return any(_overwrites(traced, node) for node in traced.graph.nodes)


def _overwrites(traced: fx.GraphModule, node: fx.Node) -> bool:
    if node.kwargs.get("inplace") or "out" in node.kwargs:
        return True
    if node.op == "call_module":
        return bool(getattr(module_of(traced, node), "inplace", False))
    if node.op == "call_method":
        return str(node.target).endswith("_") or node.target == "__setitem__"
    if node.op != "call_function":
        return False
    name = getattr(node.target, "__name__", "")
    # functional.relu(x, True) and its like: the flag is the last positional argument.
    flagged = any(argument is True for argument in node.args)
    return name.endswith("_") or flagged or node.target in _OVERWRITING


def _rewired(
    model: nn.Module, sites: Sequence[SiteSpec], taps: Sequence[Tap], folded: Collection[int]
) -> fx.GraphModule:
    """Return a traced copy of ``model`` in which all users of a stored node use its tap instead.

    Of a ``folded`` site it is the convolution's node.
    """
    traced = trace(model)
    groups = stored_groups(traced)
    for site, tap in zip(sites, taps, strict=True):
        stored = groups[site.index].nodes[0 if site.index in folded else -1]
        name = f"site_{site.index}"
        traced.add_submodule(name, tap)
        with traced.graph.inserting_after(stored):
            tapped = traced.graph.call_module(name, (stored,))
        stored.replace_all_uses_with(tapped)
        tapped.replace_input_with(tapped, stored)
    traced.recompile()
    return traced


def _hooked(model: nn.Module, sites: Sequence[SiteSpec], taps: Sequence[Tap]) -> nn.Module:
    """Return a copy of ``model`` in which the output of every site's module goes through its tap."""
    hooked = copy.deepcopy(model).eval()
    for site, tap in zip(sites, taps, strict=True):
        # A hook's value takes the place of the module's output; the tap is bound as it is in this round.
        hooked.get_submodule(site.name).register_forward_hook(lambda _module, _args, output, tap=tap: tap(output))
    return hooked


def _named_sites(
    model: nn.Module, input_shape: tuple[int, int, int], site_modules: Sequence[str]
) -> tuple[SiteSpec, ...]:
    watched = copy.deepcopy(model).eval()
    modules = dict(watched.named_modules())
    outputs: dict[str, list[Any]] = {}
    for name in site_modules:
        if not name or name not in modules:
            raise ActcodecError("sites", f"{name!r} is no module of {type(model).__name__}")
        if site_modules.count(name) > 1:
            raise ActcodecError("sites", f"{name!r} is named twice")

        def note(_module: nn.Module, _args: Any, output: Any, name: str = name) -> None:
            outputs.setdefault(name, []).append(output)

        modules[name].register_forward_hook(note)
    run_once(watched, model, input_shape)
    for name in site_modules:
        calls = outputs.get(name, [])
        if len(calls) != 1:
            raise ActcodecError("sites", f"module {name} is called {len(calls)} times an image; a site is stored once")
        if not isinstance(calls[0], Tensor) or calls[0].ndim != 4:
            raise ActcodecError("sites", f"module {name} does not return a tensor N×C×H×W")
    macs = _macs_by_module(model, input_shape)
    # The hooks ran in execution order.
    return tuple(
        SiteSpec(
            name=name,
            index=index,
            channels=tensor.shape[1],
            height=tensor.shape[2],
            width=tensor.shape[3],
            activation={nn.ReLU: "relu", nn.ReLU6: "relu6"}.get(type(modules[name]), "none"),
            readers=1,
            macs=sum(count for path, count in macs.items() if f"{path}.".startswith(f"{name}.")),
        )
        for index, (name, (tensor,)) in enumerate(outputs.items())
    )


def _describe(traced: fx.GraphModule, groups: list[Group], index: int) -> SiteSpec:
    conv, stored = groups[index].nodes[0], groups[index].nodes[-1]
    _, channels, height, width = stored.meta["shape"]
    module = module_of(traced, conv)
    assert module is not None
    return SiteSpec(
        name=str(conv.target),
        index=index,
        channels=channels,
        height=height,
        width=width,
        activation=groups[index].activation,
        readers=len(readers_of(traced, groups, stored)),
        macs=_macs(module, conv.meta["shape"]),
        range=groups[index].range,
    )


def readers_of(traced: fx.GraphModule, groups: Sequence[Group], stored: fx.Node) -> set[fx.Node]:
    """Return the first node of every group (or the linear layer) that reads ``stored``.

    Slices, padding, concatenation, pooling and other arithmetic on the way are not readers of their own.
    """
    owner = {node: group.nodes[0] for group in groups for node in group.nodes}
    readers: set[fx.Node] = set()
    seen: set[fx.Node] = set()
    pending = list(stored.users)
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        if node in owner:
            readers.add(owner[node])
        elif node.op == "output" or isinstance(module_of(traced, node), nn.Conv2d | nn.Linear):
            readers.add(node)
        else:
            pending.extend(node.users)
    return readers


def _macs_by_module(model: nn.Module, input_shape: tuple[int, int, int]) -> dict[str, int]:
    """Return the multiplications an image of every Conv2d and linear layer that is called, by its module path."""
    counted = copy.deepcopy(model).eval()
    macs: Counter[str] = Counter()
    for path, module in counted.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):

            def count(module: nn.Module, _args: Any, output: Tensor, path: str = path) -> None:
                macs[path] += _macs(module, output.shape)

            module.register_forward_hook(count)
    run_once(counted, model, input_shape)
    return dict(macs)


def _macs(module: nn.Module, output: Sequence[int]) -> int:
    """Return the multiplications an image of ``module``, whose output has that shape."""
    if isinstance(module, nn.Conv2d):
        return int(module.weight.numel() * output[-2] * output[-1])
    if isinstance(module, nn.Linear):
        return int(module.weight.numel() * math.prod(output[1:-1]))
    return 0
