"""Folding BatchNorm into the convolution before it, and 8-bit weights.

bn(conv(x)) = γ·(W∗x + b − m)/√(v + ε) + β        W' = W·γ/√(v + ε),  b' = β + (b − m)·γ/√(v + ε)
"""

from __future__ import annotations

from collections import Counter

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
    modules = dict(traced.named_modules())
    calls = Counter(str(node.target) for node in traced.graph.nodes if node.op == "call_module")
    for node in list(traced.graph.nodes):
        norm = modules.get(str(node.target)) if node.op == "call_module" else None
        if not isinstance(norm, nn.BatchNorm2d):
            continue
        if norm.running_mean is None or norm.running_var is None:
            raise ActcodecError(f"BatchNorm {node.target}", "keeps no running statistics")
        source = node.all_input_nodes[0]
        conv = modules.get(str(source.target)) if source.op == "call_module" else None
        shared = max(calls[str(node.target)], calls[str(source.target)]) > 1
        if not isinstance(conv, nn.Conv2d) or len(source.users) > 1 or shared:
            continue
        _fold(conv, norm, norm.running_mean, norm.running_var)
        node.replace_all_uses_with(source)
        traced.graph.erase_node(node)
    traced.delete_all_unused_submodules()
    traced.recompile()
    if weights == "w8":
        round_weights(traced)
    return traced.requires_grad_(False)


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
