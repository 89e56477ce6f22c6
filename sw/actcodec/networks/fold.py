"""Folding BatchNorm into the convolution before it, and 8-bit weights.

bn(conv(x)) = γ·(W∗x + b − m)/√(v + ε) + β        W' = W·γ/√(v + ε),  b' = β + (b − m)·γ/√(v + ε)

And back: a folded network whose weights were trained on becomes a checkpoint of the network it came from, with
BatchNorms that change nothing but the bias: m = 0, v = 1, γ = √(1 + ε), β = b'.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import torch
from torch import Tensor, fx, nn

from actcodec.errors import ActcodecError
from actcodec.networks.tracing import trace

WEIGHT_MODES = ("float", "w8")


def fold_batchnorm(model: nn.Module, weights: str = "float") -> fx.GraphModule:
    """Return a traced copy of ``model`` in which every convolution carries the BatchNorm that followed it.

    A BatchNorm that follows something else, or a convolution with other readers, or one that is called more than
    once, stays as it is. ``weights="w8"`` also rounds the weights as `round_weights` does.
    Raises ActcodecError for another ``weights``, a model that cannot be traced, or a BatchNorm without running
    statistics: its output would depend on the batch.
    """
    check_weights(weights)
    traced = trace(model)
    for node, source, conv, norm in list(_pairs(traced)):
        _fold(conv, norm, *_running(node, norm))
        node.replace_all_uses_with(source)
        traced.graph.erase_node(node)
    traced.delete_all_unused_submodules()
    traced.recompile()
    if weights == "w8":
        round_weights(traced)
    return traced.requires_grad_(False)


def unfolded_state(model: nn.Module, folded: nn.Module) -> dict[str, Tensor]:
    """Return a state dict of ``model`` that `fold_batchnorm` makes the weights of ``folded`` of, bit for bit.

    ``folded`` is what `fold_batchnorm` made of ``model``, its weights changed since or not. BatchNorm's
    ``num_batches_tracked`` is left out. Raises ActcodecError for a folded BatchNorm without γ and β.
    """
    trained = folded.state_dict()
    state = {name: trained.get(name, value).detach().clone() for name, value in model.state_dict().items()}
    for node, source, _, norm in _pairs(trace(model)):
        if not norm.affine:
            raise ActcodecError(f"BatchNorm {node.target}", "has no weight and bias that could carry a trained bias")
        mean, variance = _running(node, norm)
        conv, path = str(source.target), str(node.target)
        one = torch.ones_like(variance)
        state |= {
            f"{path}.running_mean": torch.zeros_like(mean),
            f"{path}.running_var": one,
            # The square root that folding divides by: their quotient is exactly 1.
            f"{path}.weight": torch.sqrt(one + norm.eps),
            f"{path}.bias": trained[f"{conv}.bias"].clone(),
        }
        if f"{conv}.bias" in state:
            state[f"{conv}.bias"] = torch.zeros_like(mean)
    return {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}


def _pairs(traced: fx.GraphModule) -> Iterator[tuple[fx.Node, fx.Node, nn.Conv2d, nn.BatchNorm2d]]:
    """Yield every BatchNorm that can be folded, as (its node, the convolution's node, convolution, BatchNorm)."""
    modules = dict(traced.named_modules())
    calls = Counter(str(node.target) for node in traced.graph.nodes if node.op == "call_module")
    for node in traced.graph.nodes:
        norm = modules.get(str(node.target)) if node.op == "call_module" else None
        if not isinstance(norm, nn.BatchNorm2d):
            continue
        _running(node, norm)
        source = node.all_input_nodes[0]
        conv = modules.get(str(source.target)) if source.op == "call_module" else None
        shared = max(calls[str(node.target)], calls[str(source.target)]) > 1
        if isinstance(conv, nn.Conv2d) and len(source.users) == 1 and not shared:
            yield node, source, conv, norm


def _running(node: fx.Node, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    if norm.running_mean is None or norm.running_var is None:
        raise ActcodecError(f"BatchNorm {node.target}", "keeps no running statistics")
    return norm.running_mean, norm.running_var


def check_weights(weights: str) -> None:
    """Raise ActcodecError unless ``weights`` is one of WEIGHT_MODES."""
    if weights not in WEIGHT_MODES:
        raise ActcodecError("weights", f"{weights!r} is unknown; known: {', '.join(WEIGHT_MODES)}")


def round_weights(model: nn.Module) -> None:
    """Round the weights of convolutions and linear layers of ``model`` to int8, kept as floats of those values.

    Symmetric, one scale per output channel; biases stay float.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.weight = nn.Parameter(round_to_int8(module.weight.data), requires_grad=False)


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    gamma = norm.weight.data if norm.affine else mean.new_ones(conv.out_channels)
    gain = gamma / torch.sqrt(variance + norm.eps)
    shift = norm.bias.data if norm.affine else mean.new_zeros(conv.out_channels)
    bias = mean.new_zeros(conv.out_channels) if conv.bias is None else conv.bias.data
    # New parameters: other modules may share the old ones.
    conv.weight = nn.Parameter(conv.weight.data * gain.reshape(-1, 1, 1, 1))
    conv.bias = nn.Parameter(shift + (bias - mean) * gain)


def round_to_int8(weight: Tensor) -> Tensor:
    """Return s·round(w/s) with s = max|w|/127 of each output channel (the first axis)."""
    axes = tuple(range(1, weight.ndim))
    scale = weight.abs().amax(axes, keepdim=True).clamp_min(torch.finfo(weight.dtype).tiny) / 127
    return torch.round(weight / scale) * scale
