"""CAT: learned clipping, quantization trained for low entropy, an entropy coder behind it.

    x = (clamp(a, lo, hi) − lo)·(2^b − 1)/(hi − lo)        symbol = round(x), straight-through; lo = 0 after a ReLU
    p_j = mean_i softmax_j(−T·(x_i − j)²)                  H = −Σ_j p_j log₂ p_j, on a sample of the values
    loss = task + λ·max(0, Σ n_l H_l/Σ n_l − target)

Baskin et al., "CAT: Compression-Aware Training for bandwidth reduction", JMLR 2021, arXiv 1909.11481. T = 10 and the
start of the clip at mean + 3σ are theirs. Theirs has no target: λ, from 0 to 0.3, decides the rate. Here λ is fixed and
the price is due above the target only, so that it can be compared with others at equal rates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from actcodec.learn.batches import input_batches
from actcodec.learn.tuning.compressed import CompressedNetwork
from actcodec.networks import Network, SitedNetwork, SiteSpec
from actcodec.rivals.huffman_site import Symbols

_BATCH = 100
_TEMPERATURE = 10.0
_SAMPLE = 1024
_SIGMAS = 3.0


class _Quantize(torch.autograd.Function):
    """round(clamp(x, 0, top)); the gradient passes inside 0…top."""

    @staticmethod
    def forward(ctx: object, x: Tensor, top: float) -> Tensor:
        ctx.save_for_backward((x >= 0) & (x <= top))  # type: ignore[attr-defined]
        return torch.floor(x.clamp(0, top) + 0.5)

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> tuple[Tensor, None]:
        (inside,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return gradients[0] * inside, None


class CatLayer(nn.Module):
    """Quantizer of one site with ``bits`` bits, trainable in its clips.

    ``entropy`` is the soft entropy H_l of the last forward pass in training mode.
    """

    def __init__(self, site: SiteSpec, low: float, high: float, bits: int) -> None:
        super().__init__()
        self.levels, self.values = 1 << bits, site.values
        self.entropy = torch.zeros(())
        rectified = site.activation != "none"
        # Relative to the starting range, so that the codecs' learning rate suits.
        self._span = max(high - low, 1e-6)
        self._low, self._high = low, high
        self.dlow = nn.Parameter(torch.zeros(()), requires_grad=not rectified)
        self.dhigh = nn.Parameter(torch.zeros(()))

    def _range(self) -> tuple[Tensor, Tensor]:
        low = self._low + self._span * self.dlow
        high = self._high + self._span * self.dhigh
        return low, (high - low).clamp_min(1e-3 * self._span) / (self.levels - 1)

    def forward(self, activation: Tensor) -> Tensor:
        """Return lo + step·symbol at every value."""
        low, step = self._range()
        x = (activation - low) / step
        if self.training and torch.is_grad_enabled():
            self.entropy = self._soft_entropy(x)
        return _Quantize.apply(x, float(self.levels - 1)) * step + low  # type: ignore[no-any-return, no-untyped-call]

    def _soft_entropy(self, x: Tensor) -> Tensor:
        flat = x.permute(0, 2, 3, 1).reshape(-1)
        # An odd stride walks through all channels and positions; random places would draw from the generator.
        stride = max(len(flat) // _SAMPLE, 1) | 1
        sample = flat[::stride].clamp(0, self.levels - 1)
        centres = torch.arange(self.levels, dtype=sample.dtype, device=sample.device)
        p = torch.softmax(-_TEMPERATURE * (sample[:, None] - centres) ** 2, 1).mean(0)
        return -(p * torch.log2(p + 1e-12)).sum()

    @torch.no_grad()
    def symbols(self, activation: Tensor) -> Symbols:
        """Return symbols (N, C·H·W), channel after channel."""
        low, step = self._range()
        q = torch.floor(((activation - low) / step).clamp(0, self.levels - 1) + 0.5)
        found: Symbols = q.reshape(len(q), -1).numpy().astype(np.int64)
        return found

    @torch.no_grad()
    def restore(self, symbols: Symbols, like: Tensor) -> Tensor:
        """Return lo + step·symbol in the shape of ``like``."""
        low, step = self._range()
        return torch.from_numpy(symbols).to(torch.float32).reshape(like.shape) * step + low


class CatNetwork(CompressedNetwork):
    """A network with CAT's layers; a bit of entropy a value above ``target_bits`` costs ``price`` = λ."""

    def __init__(self, sited: SitedNetwork, layers: Sequence[CatLayer], target_bits: float, price: float) -> None:
        super().__init__(sited, layers)
        self._quantizers, self._target, self._price = layers, target_bits, price
        self._total = sum(layer.values for layer in layers)

    def with_penalty(
        self, x: Tensor, reconstruction: float, whole: Callable[[Tensor], Tensor] = lambda means: means
    ) -> tuple[Tensor, Tensor]:
        """Return logits and the reconstruction penalty plus λ·max(0, entropy − target)."""
        logits, penalty = super().with_penalty(x, reconstruction, whole)
        entropy = torch.stack([layer.values / self._total * layer.entropy for layer in self._quantizers]).sum()
        return logits, penalty + self._price * torch.relu(entropy - self._target)


@torch.no_grad()
def cat_layers(
    network: Network,
    sited: SitedNetwork,
    images: NDArray[np.uint8],
    bits: int,
    progress: bool = True,
) -> list[CatLayer]:
    """Return the layers of every site, clips at mean ± 3σ over ``images``."""
    moments = [np.zeros(3) for _ in sited.sites]

    def look(site: int, tensor: Tensor) -> Tensor:
        values = tensor.double()
        moments[site] += (tensor.numel(), float(values.sum()), float(values.square().sum()))
        return tensor

    for x in input_batches(network, images, _BATCH, "clips", progress):
        sited(x, look)
    layers = []
    for site, (count, first, second) in zip(sited.sites, moments, strict=True):
        mean = first / count
        sigma = float(np.sqrt(max(second / count - mean**2, 1e-12)))
        low = 0.0 if site.activation != "none" else mean - _SIGMAS * sigma
        layers.append(CatLayer(site, low, mean + _SIGMAS * sigma, bits))
    return layers
