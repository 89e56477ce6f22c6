"""Integer convolutions of a trained network: the codes that the array works on. Needs torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from actcodec.errors import ActcodecError
from actcodec.networks import Network
from actcodec.pim.codes import Codes, code_range, slices
from actcodec.pim.layer import convolution, patches
from actcodec.pim.params import PimMode, PimParams, Width

STEPS = 64
"""Steps that are tried for a tensor."""


@dataclass(frozen=True)
class QuantizedConvolution:
    """A convolution in integers: codes ``x`` (N, C, H, W) and ``weights`` (O, C / groups, kh, kw)."""

    name: str
    mode: PimMode
    x: Codes
    weights: Codes
    stride: int
    padding: int
    groups: int

    def vectors(self) -> Codes:
        """Input vectors of all positions (N · positions, C·kh·kw), of a convolution of one group."""
        kernel = (self.weights.shape[2], self.weights.shape[3])
        columns = patches(self.x, kernel, self.stride, self.padding)
        return columns.reshape(-1, columns.shape[-1])

    def matrix(self) -> Codes:
        """Weights as a matrix (C·kh·kw, O), of a convolution of one group."""
        return self.weights.reshape(len(self.weights), -1).T

    def outputs(self, params: PimParams) -> Codes:
        """The sums (N, O, H', W') by the golden model of the array."""
        return convolution(
            params,
            self.mode,
            self.x,
            self.weights,
            stride=self.stride,
            padding=self.padding,
            groups=self.groups,
        )

    def integer_convolution(self) -> Codes:
        """The sums (N, O, H', W') by torch, for comparison; exact, for integers below 2^53 are in float64."""
        x, weights = (torch.from_numpy(codes).double() for codes in (self.x, self.weights))
        sums = nn.functional.conv2d(x, weights, None, self.stride, self.padding, 1, self.groups)
        return sums.numpy().astype(np.int64)

    @property
    def density(self) -> float:
        """Share of the inputs that are not 0."""
        return float((self.x != 0).mean())

    @property
    def bit_density(self) -> float:
        """Share of the inputs' bits that are 1."""
        return float(slices(self.x, self.mode.input_bits).mean())


def quantized_convolution(
    network: Network, layer: str, images: NDArray[np.uint8], weight_bits: Width, input_bits: Width
) -> QuantizedConvolution:
    """The convolution ``layer`` of a network on images (N, H, W, 3): signed weights, unsigned inputs.

        code = clip(round(v / step), lowest code, highest code)

    with the step, of all weights or of all inputs, that has the least squared error (`best_step`).
    Raises ActcodecError where the network has no such convolution, or its inputs are negative.
    """
    module = dict(network.model.named_modules()).get(layer)
    if not isinstance(module, nn.Conv2d):
        known = [name for name, found in network.model.named_modules() if isinstance(found, nn.Conv2d)]
        raise ActcodecError(f"network {network.name}", f"{layer!r} is none of its convolutions {', '.join(known)}")
    stride, padding = (_one(name, layer, getattr(module, name)) for name in ("stride", "padding"))
    if _one("dilation", layer, module.dilation) != 1 or module.padding_mode != "zeros":
        raise ActcodecError(layer, "is dilated, or its border is not of zeros")
    x = _input_of(network, module, images)
    low, high = float(x.min()), float(x.max())
    if low < 0 or high <= 0:
        raise ActcodecError(layer, f"has inputs {low}…{high}, which are not those behind a ReLU")
    mode = PimMode(weight_bits, input_bits, weight_signed=True, input_signed=False)
    return QuantizedConvolution(
        layer,
        mode,
        _codes(x, mode.input_bits, mode.input_signed),
        _codes(module.weight, mode.weight_bits, mode.weight_signed),
        stride,
        padding,
        module.groups,
    )


def best_step(values: NDArray[np.float64], bits: int, signed: bool) -> float:
    """The step with the least squared error of rounded and clipped values, of `STEPS` up to the one that clips none."""
    low, high = code_range(bits, signed)
    steps = float(np.abs(values).max()) / high * np.arange(1, STEPS + 1) / STEPS
    errors = [np.square(np.clip(np.rint(values / step), low, high) * step - values).sum() for step in steps]
    return float(steps[int(np.argmin(errors))])


def _codes(values: Tensor, bits: int, signed: bool) -> Codes:
    real = np.ascontiguousarray(values.double().numpy())
    return np.clip(np.rint(real / best_step(real, bits, signed)), *code_range(bits, signed)).astype(np.int64)


def _one(name: str, layer: str, value: Any) -> int:
    """The value that a pair has twice."""
    if isinstance(value, tuple) and len(set(value)) == 1:
        return int(value[0])
    raise ActcodecError(layer, f"has {name} = {value}; the same number is needed in both directions")


def _input_of(network: Network, module: nn.Module, images: NDArray[np.uint8]) -> Tensor:
    """What ``module`` gets where the network runs on ``images``."""
    seen: list[Tensor] = []

    def note(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen.append(inputs[0].detach().clone())

    handle = module.register_forward_pre_hook(note)
    try:
        with torch.no_grad():
            network.model(network.inputs(images))
    finally:
        handle.remove()
    return seen[0]
