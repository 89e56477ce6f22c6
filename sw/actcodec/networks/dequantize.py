"""Checkpoints with 8-bit weights, as TensorFlow Lite stores a network that was trained quantization-aware.

    NAME.weight = NAME.weight_scale · (NAME.weight_q − NAME.weight_zero)

``NAME.out_scale`` and ``NAME.out_zero``, the 8-bit steps of a layer's output, are left out: what a site stores is
decided here.
"""

from __future__ import annotations

import torch
from torch import Tensor

_CODES = ".weight_q"
_LEFT_OUT = (_CODES, ".weight_scale", ".weight_zero", ".out_scale", ".out_zero")
_CLASSIFIER = "classifier.1"


def dequantized(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return ``state`` with float32 weights in place of 8-bit ones; as it is where it has none."""
    found = {name: value for name, value in state.items() if not name.endswith(_LEFT_OUT)}
    for name, codes in state.items():
        if name.endswith(_CODES):
            layer = name.removesuffix(_CODES)
            # A scale or zero point that is missing shows as a missing weight.
            scale, zero = state.get(f"{layer}.weight_scale"), state.get(f"{layer}.weight_zero")
            if scale is not None and zero is not None:
                found[f"{layer}.weight"] = scale * (codes.to(torch.float32) - zero)
    return found


def without_background(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return `dequantized` ``state``, the classifier's first of 1,001 outputs (background) dropped."""
    found = dequantized(state)
    for name in (f"{_CLASSIFIER}.weight", f"{_CLASSIFIER}.bias"):
        if name in found and len(found[name]) == 1001:
            found[name] = found[name][1:].contiguous()
    return found
