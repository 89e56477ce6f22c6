"""A network whose layers have widths and count their non-zero activations.

The traced network with its convolutions and linear layers quantized (`quantizer`), a counter behind every layer's
activation and a quantizer on every shortcut. Rules that tie a layer's width to something else than its own density:

    first layer, last layer     stay at the width that training starts with
    shortcut                    takes the width of the layer that it is added to, and so does a projection on it

**Published** (arXiv 2101.04354): these two rules; AD_l is the share of non-zero activations of layer l.
**Reconstructed**: they are counted behind the activation that follows the layer (and the residual sum), before any
pooling; of two branches that end in a sum the shortcut is the one of fewer layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from actcodec.density.energy import LayerShape
from actcodec.density.quantizer import (
    QuantizedConv2d,
    QuantizedLayer,
    QuantizedLinear,
    RangedQuantizer,
    quantized_weight,
)
from actcodec.errors import ActcodecError
from actcodec.networks.fusion import Group, fused_groups, is_activation, live_nodes, stored_groups
from actcodec.networks.permutation import ChannelTie, channel_ties
from actcodec.networks.sites import readers_of
from actcodec.networks.tracing import data_users, module_of, trace_with_shapes

_COUNTER = "density_counter_{}"
_SHORTCUT = "density_shortcut_{}"


class DensityCounter(nn.Module):
    """Passes activations on; in training it counts, channel by channel, how many are not zero.

    ``nonzero`` (C,) int64 and ``positions``, the values seen of each channel, since the last `reset`.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.reset()

    def reset(self) -> None:
        """Start counting anew."""
        self.nonzero = torch.zeros(self.channels, dtype=torch.int64)
        self.positions = 0

    @property
    def density(self) -> float:
        """Share of non-zero activations, 0…1; 1 where none were seen."""
        seen = self.positions * self.channels
        return int(self.nonzero.sum()) / seen if seen else 1.0

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x``, N×C or N×C×H×W."""
        if self.training:
            rows = x.detach().movedim(1, -1).reshape(-1, x.shape[1])
            # Sums of ones in float32 are exact up to 2²⁴ and several times faster than sums of booleans.
            counted = rows.ne(0).to(torch.float32 if len(rows) < 1 << 24 else torch.float64).sum(0)
            self.nonzero += counted.to("cpu", torch.int64)
            self.positions += len(rows)
        return x


@dataclass(frozen=True)
class DensityLayer:
    """A convolution or linear layer: ``name`` is its module path.

    ``follows`` names the layer whose width it takes: that which its shortcut lands on, None for its own. ``fixed``:
    first or last layer. Input and output positions of an image.
    """

    name: str
    follows: str | None
    fixed: bool
    input_positions: int
    output_positions: int


class DensityNetwork(nn.Module):
    """``model`` for inputs of ``input_shape`` C×H×W, copied, all layers at ``bits``.

    Raises ActcodecError where the network cannot be traced or a layer is called more than once.
    """

    def __init__(self, model: nn.Module, input_shape: tuple[int, int, int], bits: int) -> None:
        super().__init__()
        traced = trace_with_shapes(model, input_shape)
        live = live_nodes(traced)
        nodes = [n for n in traced.graph.nodes if n in live and isinstance(module_of(traced, n), nn.Conv2d | nn.Linear)]
        if len({node.target for node in nodes}) < len(nodes):
            raise ActcodecError(f"network {type(model).__name__}", "calls a layer more than once")
        groups = {group.nodes[0]: group for group in fused_groups(traced)}
        sums = _sums(traced, groups)
        follows = {str(layer.target): str(s.landing.target) for s in sums for layer in s.projections}
        self.layers = tuple(
            DensityLayer(
                name=str(node.target),
                follows=follows.get(str(node.target)),
                fixed=node in (nodes[0], nodes[-1]),
                input_positions=_positions(node.args[0]),
                output_positions=_positions(node),
            )
            for node in nodes
        )
        stored = stored_groups(traced)
        self.site_readers = {
            str(group.nodes[0].target): tuple(
                str(reader.target) for reader in readers_of(traced, stored, group.nodes[-1]) if reader.op != "output"
            )
            for group in stored
        }
        ties = channel_ties(traced)
        carriers = {s.landing: s.carrier for s in sums}
        measured = {
            node: _measured(traced, carriers.get(node, node), groups)
            for node in nodes
            if str(node.target) not in follows
        }
        # The logits are no activation.
        del measured[nodes[-1]]
        self.ties = tuple((tie, _layers_of(tie, measured)) for tie in ties)
        self._shortcuts = _insert_shortcuts(traced, sums, bits)
        self._counters = _insert_counters(traced, measured)
        for node in nodes:
            _quantize(traced, str(node.target), bits)
        traced.recompile()
        self.graph = traced
        self._names = tuple(model.state_dict())

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images N×C×H×W to logits."""
        return self.graph(x)  # type: ignore[no-any-return]

    def layer(self, name: str) -> QuantizedLayer:
        """Return the layer of that module path."""
        module = self.graph.get_submodule(name)
        assert isinstance(module, QuantizedConv2d | QuantizedLinear)
        return module

    @property
    def widths(self) -> dict[str, int]:
        """Present width of every layer."""
        return {layer.name: self.layer(layer.name).input.bits for layer in self.layers}

    def set_widths(self, widths: Mapping[str, int]) -> None:
        """Give every layer its width, and every shortcut that of the layer that it lands on."""
        for name, bits in widths.items():
            self.layer(name).input.bits = bits
        for shortcut, landing in self._shortcuts.items():
            module = self.graph.get_submodule(shortcut)
            assert isinstance(module, RangedQuantizer)
            module.bits = widths[landing]

    def site_widths(self) -> dict[str, int]:
        """Return the width at which every stored tensor is read, by the name of its site; the widest reader counts."""
        widths = self.widths
        return {site: max(widths[reader] for reader in readers) for site, readers in self.site_readers.items()}

    def counter(self, layer: str) -> DensityCounter | None:
        """Return the counter of a layer's activations; None for the last layer and for projections on a shortcut."""
        name = self._counters.get(layer)
        module = self.graph.get_submodule(name) if name else None
        assert module is None or isinstance(module, DensityCounter)
        return module

    def densities(self) -> dict[str, float]:
        """Return AD_l of every layer that has a counter, since the last reset."""
        counted = {layer.name: self.counter(layer.name) for layer in self.layers}
        return {name: counter.density for name, counter in counted.items() if counter is not None}

    def reset_counters(self) -> None:
        """Start an epoch of counting."""
        for name in self._counters:
            counter = self.counter(name)
            assert counter is not None
            counter.reset()

    def shapes(self) -> tuple[LayerShape, ...]:
        """Return the present shapes of all layers, pruned as they are."""
        return tuple(self._shape(layer) for layer in self.layers)

    def _shape(self, layer: DensityLayer) -> LayerShape:
        weight = self.layer(layer.name).weight
        module = self.layer(layer.name)
        groups = module.groups if isinstance(module, QuantizedConv2d) else 1
        return LayerShape(
            name=layer.name,
            input_positions=layer.input_positions,
            output_positions=layer.output_positions,
            inputs=weight.shape[1],
            outputs=weight.shape[0],
            taps=weight[0, 0].numel(),
            read_channels=weight.shape[1] * groups,
        )

    def channels(self) -> dict[str, int]:
        """Return the present output channels of every layer."""
        return {layer.name: self.layer(layer.name).weight.shape[0] for layer in self.layers}

    def network_state(self) -> dict[str, Tensor]:
        """Return the tensors of the network itself, by its own names, weights at their widths."""
        state = self.graph.state_dict()
        found = {name: state[name] for name in self._names if not name.endswith("num_batches_tracked")}
        for layer in self.layers:
            found[f"{layer.name}.weight"] = quantized_weight(self.layer(layer.name)).detach()
        return found


@dataclass(frozen=True)
class _Sum:
    """A sum ``node``: the deepest layer that nothing but the sum reads, ``landing``, and what is added to its output.

    ``projections`` are other layers that nothing but the sum reads, ``plain`` operands that others read as well.
    ``carrier`` is the layer whose fused group the sum belongs to.
    """

    node: fx.Node
    carrier: fx.Node
    landing: fx.Node
    projections: tuple[fx.Node, ...]
    plain: tuple[fx.Node, ...]


def _sums(traced: fx.GraphModule, groups: Mapping[fx.Node, Group]) -> list[_Sum]:
    depth = _depths(traced)
    last = {group.nodes[-1]: conv for conv, group in groups.items()}
    found = []
    for carrier, group in groups.items():
        for node in group.nodes[1:]:
            others = [source for source in node.all_input_nodes if source not in group.nodes]
            if not others:
                continue
            own = {source: last[source] for source in others if source in last and len(data_users(source)) == 1}
            branches = [carrier, *own.values()]
            landing = max(branches, key=lambda layer: depth[layer])
            found.append(
                _Sum(
                    node=node,
                    carrier=carrier,
                    landing=landing,
                    projections=tuple(layer for layer in branches if layer is not landing),
                    plain=tuple(source for source in others if source not in own),
                )
            )
    return found


def _depths(traced: fx.GraphModule) -> dict[fx.Node, int]:
    """Return for every node how many layers lie on the longest way from the input to it."""
    depth: dict[fx.Node, int] = {}
    for node in traced.graph.nodes:
        before = max((depth[source] for source in node.all_input_nodes), default=0)
        depth[node] = before + isinstance(module_of(traced, node), nn.Conv2d | nn.Linear)
    return depth


def _measured(traced: fx.GraphModule, layer: fx.Node, groups: Mapping[fx.Node, Group]) -> fx.Node:
    """Return the node whose values are the layer's activations: after sum and activation function, before pooling."""
    if layer not in groups:
        users = data_users(layer)
        return users[0] if len(users) == 1 and is_activation(traced, users[0]) else layer
    nodes = groups[layer].nodes
    found = layer
    for node in nodes[1:]:
        if is_activation(traced, node) or any(source not in nodes for source in node.all_input_nodes):
            found = node
    return found


def _layers_of(tie: ChannelTie, measured: Mapping[fx.Node, fx.Node]) -> tuple[str, ...]:
    """Return the layers whose activations have the channels of ``tie``."""
    return tuple(str(layer.target) for layer, node in measured.items() if node in tie.nodes)


def _insert_shortcuts(traced: fx.GraphModule, sums: Sequence[_Sum], bits: int) -> dict[str, str]:
    """Put a quantizer on every shortcut without a layer of its own; return the layers that they land on, by name."""
    inserted: dict[str, str] = {}
    for summed in sums:
        for source in summed.plain:
            name = _SHORTCUT.format(len(inserted))
            traced.add_submodule(name, RangedQuantizer(bits))
            with traced.graph.inserting_before(summed.node):
                quantized = traced.graph.call_module(name, (source,))
            summed.node.replace_input_with(source, quantized)
            inserted[name] = str(summed.landing.target)
    return inserted


def _insert_counters(traced: fx.GraphModule, measured: Mapping[fx.Node, fx.Node]) -> dict[str, str]:
    """Put a counter behind every measured node; return the counters' names by layer."""
    inserted: dict[str, str] = {}
    for layer, node in measured.items():
        name = _COUNTER.format(len(inserted))
        traced.add_submodule(name, DensityCounter(node.meta["shape"][1]))
        with traced.graph.inserting_after(node):
            counted = traced.graph.call_module(name, (node,))
        node.replace_all_uses_with(counted)
        counted.replace_input_with(counted, node)
        inserted[str(layer.target)] = name
    return inserted


def _quantize(traced: fx.GraphModule, path: str, bits: int) -> None:
    """Replace the layer at ``path`` by its quantized form."""
    parent, _, name = path.rpartition(".")
    layer = traced.get_submodule(path)
    made: nn.Module
    if type(layer) is nn.Conv2d:
        made = QuantizedConv2d.of(layer, bits)
    elif type(layer) is nn.Linear:
        made = QuantizedLinear.of(layer, bits)
    else:
        raise ActcodecError(
            f"module {path}", f"is a {type(layer).__name__}; only Conv2d and Linear layers have a width"
        )
    setattr(traced.get_submodule(parent), name, made)


def _positions(node: object) -> int:
    assert isinstance(node, fx.Node)
    positions = 1
    for side in node.meta["shape"][2:]:
        positions *= side
    return positions
