"""Which operations are computed together with the convolution before them, so that only their result is stored.

    group   convolution → (norm | + shortcut | activation | quantizer | window pooling | dropout, identity)*

A group goes on while its last value has one reader. A norm or a second activation after an activation belongs to
the reader, and so does everything not named here: concatenation, flattening, global pooling, products.

A quantizer rounds values to steps (``torch.fake_quantize_per_tensor_affine``); where nothing after it in its group
makes other values, its steps are those that the site is stored in.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional

from actcodec.errors import ActcodecError
from actcodec.networks.ranges import ActivationRange, range_of_quantizer
from actcodec.networks.tracing import data_users, module_of


class _Role(StrEnum):
    """What an operation does in a group; the first three are activations, by the name that a site shows."""

    RELU = "relu"
    RELU6 = "relu6"
    OTHER = "none"
    NORM = "norm"
    ADD = "add"
    MAXIMUM = "maximum"
    AVERAGE = "average"
    QUANTIZER = "quantizer"
    PASS = "pass"


_ACTIVATIONS = (_Role.RELU, _Role.RELU6, _Role.OTHER)

_MODULES: dict[type[nn.Module], _Role] = {
    nn.ReLU: _Role.RELU,
    nn.ReLU6: _Role.RELU6,
    **dict.fromkeys((nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SiLU, nn.GELU, nn.Mish), _Role.OTHER),
    **dict.fromkeys((nn.Sigmoid, nn.Tanh, nn.Hardswish, nn.Hardsigmoid), _Role.OTHER),
    nn.BatchNorm2d: _Role.NORM,
    nn.MaxPool2d: _Role.MAXIMUM,
    nn.AvgPool2d: _Role.AVERAGE,
    **dict.fromkeys((nn.Identity, nn.Dropout, nn.Dropout2d), _Role.PASS),
}
_FUNCTIONS: dict[object, _Role] = {
    **dict.fromkeys((functional.relu, torch.relu, torch.relu_), _Role.RELU),
    functional.relu6: _Role.RELU6,
    **dict.fromkeys((functional.leaky_relu, functional.elu, functional.silu, functional.gelu), _Role.OTHER),
    **dict.fromkeys((functional.mish, functional.hardswish, functional.hardsigmoid), _Role.OTHER),
    **dict.fromkeys((torch.sigmoid, torch.tanh), _Role.OTHER),
    functional.batch_norm: _Role.NORM,
    **dict.fromkeys((operator.add, operator.iadd, torch.add), _Role.ADD),
    **dict.fromkeys((functional.max_pool2d, torch.max_pool2d), _Role.MAXIMUM),
    functional.avg_pool2d: _Role.AVERAGE,
    torch.fake_quantize_per_tensor_affine: _Role.QUANTIZER,
    **dict.fromkeys((functional.dropout, functional.dropout2d), _Role.PASS),
}
_METHODS = {
    **dict.fromkeys(("relu", "relu_"), _Role.RELU),
    **dict.fromkeys(("sigmoid", "sigmoid_", "tanh", "tanh_"), _Role.OTHER),
    **dict.fromkeys(("add", "add_"), _Role.ADD),
    "contiguous": _Role.PASS,
}
_KEEPS_STEPS = (_Role.RELU, _Role.RELU6, _Role.MAXIMUM, _Role.PASS)
_QUANTIZER_ARGUMENTS = ((1, "scale"), (2, "zero_point"), (3, "quant_min"), (4, "quant_max"))
_VIEWS: set[Any] = {
    torch.flatten,
    torch.reshape,
    torch.squeeze,
    operator.getitem,
    torch.fake_quantize_per_tensor_affine,
}
_VIEWS |= {"flatten", "reshape", "view", "squeeze"}
_OTHER_CONVOLUTIONS: dict[object, str] = {
    function: function.__name__
    for function in (functional.conv1d, functional.conv2d, functional.conv3d, functional.conv_transpose2d)
}


@dataclass(frozen=True)
class Group:
    """The nodes of one fused group, in order: the convolution first, the stored output last.

    ``range`` are the steps of the last quantizer, None where there is none or what is stored is not in its steps.
    """

    nodes: tuple[fx.Node, ...]
    activation: str
    range: ActivationRange | None = None


def stored_groups(traced: fx.GraphModule) -> list[Group]:
    """Return the groups whose output some other group reads, in the order of their convolutions.

    Groups whose values are the network's output, or that it does not depend on, are left out.
    Raises ActcodecError for a convolution that is no Conv2d module: its output would go uncoded unnoticed.
    """
    return [group for group in fused_groups(traced) if not _are_logits(group.nodes[-1])]


def _are_logits(node: fx.Node) -> bool:
    """Return whether nothing but the network's output reads ``node``, as it is or as a vector of the same values."""
    return all(user.op == "output" or (user.target in _VIEWS and _are_logits(user)) for user in data_users(node))


def fused_groups(traced: fx.GraphModule) -> list[Group]:
    """Return all groups that the network's output depends on, in the order of their convolutions.

    Raises ActcodecError as `stored_groups` does.
    """
    order, live = _last_convolution(traced), live_nodes(traced)
    groups = [_grow(traced, node, order) for node in traced.graph.nodes if _is_convolution(traced, node)]
    return [group for group in groups if group.nodes[-1] in live]


def _is_convolution(traced: fx.GraphModule, node: fx.Node) -> bool:
    module = module_of(traced, node)
    if isinstance(module, nn.modules.conv._ConvNd) and not isinstance(module, nn.Conv2d):
        raise ActcodecError(f"module {node.target}", f"is a {type(module).__name__}; sites are made of Conv2d outputs")
    if node.op == "call_function" and node.target in _OTHER_CONVOLUTIONS:
        name = _OTHER_CONVOLUTIONS[node.target]
        raise ActcodecError(f"operation {node.name}", f"calls {name} as a function; sites are made of Conv2d modules")
    return isinstance(module, nn.Conv2d)


def live_nodes(traced: fx.GraphModule) -> set[fx.Node]:
    """Return the nodes that the network's output depends on."""
    live: set[fx.Node] = set()
    pending = [node for node in traced.graph.nodes if node.op == "output"]
    while pending:
        node = pending.pop()
        if node not in live:
            live.add(node)
            pending.extend(node.all_input_nodes)
    return live


def is_activation(traced: fx.GraphModule, node: fx.Node) -> bool:
    """Return whether ``node`` is an activation function."""
    return _role(traced, node) in _ACTIVATIONS


def _last_convolution(traced: fx.GraphModule) -> dict[fx.Node, int]:
    """Return for every node the number of the last convolution that its value depends on (−1: the input)."""
    last: dict[fx.Node, int] = {}
    count = 0
    for node in traced.graph.nodes:
        if isinstance(module_of(traced, node), nn.Conv2d):
            last[node] = count
            count += 1
        else:
            last[node] = max((last[source] for source in node.all_input_nodes), default=-1)
    return last


def _grow(traced: fx.GraphModule, conv: fx.Node, order: dict[fx.Node, int]) -> Group:
    """Follow ``conv`` through everything that is fused with it."""
    nodes, activation, activated = [conv], _Role.OTHER, False
    steps: ActivationRange | None = None
    while len(users := data_users(nodes[-1])) == 1:
        user = users[0]
        role = _role(traced, user)
        if role is None or (activated and role in (*_ACTIVATIONS, _Role.NORM)):
            break
        if role in _ACTIVATIONS:
            activation, activated = role, True
        elif role is _Role.ADD:
            if order[user] != order[conv]:
                break
            activation, activated = _Role.OTHER, False
        steps = _steps(user, role, activation if activated else _Role.OTHER, steps)
        nodes.append(user)
    if steps is not None and activation is _Role.OTHER and steps.zero == steps.low:
        # A quantizer without negative values is what is left of a ReLU when a network is quantized.
        activation = _Role.RELU
    return Group(tuple(nodes), activation.value, steps)


def _steps(node: fx.Node, role: _Role, activation: _Role, before: ActivationRange | None) -> ActivationRange | None:
    """Return the steps of the values behind ``node``, None where they are in none.

    ``activation`` is the last one up to ``node``, ``before`` are the steps in front of it.
    """
    if role is _Role.QUANTIZER:
        before = range_of_quantizer(*(_argument(node, place, name, None) for place, name in _QUANTIZER_ARGUMENTS))
    elif role not in _KEEPS_STEPS:
        return None
    if before is None or activation not in (_Role.RELU, _Role.RELU6):
        return before
    return before.rectified(6.0 if activation is _Role.RELU6 else None)


def _role(traced: fx.GraphModule, node: fx.Node) -> _Role | None:
    """Return what ``node`` does in a group, None where it cannot be part of one."""
    module = module_of(traced, node)
    if module is not None:
        if type(module) is nn.Hardtanh:
            return _hardtanh(module.min_val, module.max_val)
        if getattr(module, "return_indices", False):
            return None
        return _MODULES.get(type(module))
    if node.op == "call_method":
        return _METHODS.get(str(node.target))
    if node.target is functional.hardtanh:
        return _hardtanh(_argument(node, 1, "min_val", -1.0), _argument(node, 2, "max_val", 1.0))
    return _FUNCTIONS.get(node.target) if node.op == "call_function" else None


def _hardtanh(lowest: Any, highest: Any) -> _Role:
    return _Role.RELU6 if (lowest, highest) == (0, 6) else _Role.OTHER


def _argument(node: fx.Node, place: int, name: str, default: float | None) -> Any:
    return node.args[place] if len(node.args) > place else node.kwargs.get(name, default)
