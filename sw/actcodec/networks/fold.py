"""Folding BatchNorm into the convolution before it, and 8-bit weights.

bn(conv(x)) = γ·(W∗x + b − m)/√(v + ε) + β        W' = W·γ/√(v + ε),  b' = β + (b − m)·γ/√(v + ε)
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, fx, nn

from actcodec.errors import ActcodecError

WEIGHT_MODES = ("float", "w8")


def fold_batchnorm(model: nn.Module, weights: str = "float") -> fx.GraphModule:
    """Return a traced copy of ``model`` in which every convolution carries the BatchNorm that followed it.

    ``weights="w8"`` also rounds the weights of convolutions and linear layers to int8, symmetric, one scale
    per output channel (kept as floats of those values); biases stay float.
    Raises ActcodecError for another ``weights`` or a BatchNorm that does not follow a convolution directly.
    """
    if weights not in WEIGHT_MODES:
        raise ActcodecError("weights", f"{weights!r} is unknown; known: {', '.join(WEIGHT_MODES)}")
    traced = fx.symbolic_trace(copy.deepcopy(model).eval())
    modules = dict(traced.named_modules())
    for node in list(traced.graph.nodes):
        norm = modules.get(str(node.target)) if node.op == "call_module" else None
        if not isinstance(norm, nn.BatchNorm2d):
            continue
        source = node.args[0]
        conv = modules.get(str(source.target)) if source.op == "call_module" else None
        if not isinstance(conv, nn.Conv2d) or len(source.users) > 1:
            raise ActcodecError(f"BatchNorm {node.target}", "does not follow a convolution of its own")
        _fold(conv, norm)
        node.replace_all_uses_with(source)
        traced.graph.erase_node(node)
    traced.delete_all_unused_submodules()
    traced.recompile()
    if weights == "w8":
        for module in traced.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.weight.data = round_to_int8(module.weight.data)
    return traced.requires_grad_(False)


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    if norm.running_mean is None or norm.running_var is None:
        raise ActcodecError("BatchNorm", "keeps no running statistics; it cannot be folded")
    gain = norm.weight.data / torch.sqrt(norm.running_var + norm.eps)
    bias = norm.running_mean.new_zeros(conv.out_channels) if conv.bias is None else conv.bias.data
    conv.weight.data = conv.weight.data * gain.reshape(-1, 1, 1, 1)
    conv.bias = nn.Parameter(norm.bias.data + (bias - norm.running_mean) * gain)


def round_to_int8(weight: Tensor) -> Tensor:
    """Return s·round(w/s) with s = max|w|/127 of each output channel (the first axis)."""
    axes = tuple(range(1, weight.ndim))
    scale = weight.abs().amax(axes, keepdim=True).clamp_min(torch.finfo(weight.dtype).tiny) / 127
    return torch.round(weight / scale) * scale
