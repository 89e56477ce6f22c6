"""Transform coding of activations, not learned: PCA, one uniform step a tensor, Huffman.

    z = Uᵀ(a − μ)      q = round(z/Δ_l)      â = act(μ + U·Δ_l·q)      U: eigenvectors of the site's whole covariance

Chmiel et al., "Feature Map Transform Coding for Energy-Efficient CNN Inference", IJCNN 2020, arXiv 1905.10830. Theirs
ties Δ_l to a layer's range; here Δ_l = θ/√g_l, g_l the mean of the site's Fisher information over channels, which makes
every site pay the same for a bit (a stronger rival), and θ is bisected for the target. The transform is in float and
dense over all channels, its multiplications are counted as C a value to encode and as many for every decode.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from actcodec.learn.batches import input_batches
from actcodec.learn.calibrate import calibrate
from actcodec.learn.quantize8 import choose_ranges
from actcodec.networks import Network, SitedNetwork, SiteSpec
from actcodec.rivals.huffman_site import Symbols, count_symbols, entropy_bits

_BATCH = 100
_FISHER_BATCH = 64
_LEVELS = 1024
_BISECTIONS = 7
_FIRST_THETA = (1e-4, 1e2)


class PcaQuantizer:
    """Quantizer of a site: ``basis`` (C, C) columns, ``mean`` (C,), ``step``; symbols are q + levels/2, clamped."""

    def __init__(self, site: SiteSpec, basis: Tensor, mean: Tensor, step: float) -> None:
        self.levels = _LEVELS
        self._site, self._basis, self._mean, self._step = site, basis, mean, step

    def symbols(self, activation: Tensor) -> Symbols:
        """Return symbols (N, C·H·W), coefficient after coefficient."""
        z = (activation.permute(0, 2, 3, 1) - self._mean) @ self._basis
        q = torch.round(z / self._step).clamp(-_LEVELS // 2, _LEVELS // 2 - 1) + _LEVELS // 2
        found: Symbols = q.permute(0, 3, 1, 2).reshape(len(q), -1).numpy().astype(np.int64)
        return found

    def restore(self, symbols: Symbols, like: Tensor) -> Tensor:
        """Return â, rectified where the site is."""
        q = torch.from_numpy(symbols.reshape(like.shape) - _LEVELS // 2).to(torch.float32)
        a = (q.permute(0, 2, 3, 1) * self._step) @ self._basis.T + self._mean
        a = a.permute(0, 3, 1, 2)
        if self._site.activation != "none":
            a = a.clamp(0, 6 if self._site.activation == "relu6" else None)
        return a


def fit(
    network: Network,
    sited: SitedNetwork,
    sensitivity: Sequence[float],
    images: NDArray[np.uint8],
    target_bits: float,
    progress: bool = True,
) -> tuple[list[PcaQuantizer], list[NDArray[np.int64]]]:
    """Return the quantizers of every site for ``target_bits`` a value on ``images``, and the counts of their symbols.

    ``sensitivity`` is g_l of every site.
    """
    moments = _moments(network, sited, images, progress)
    values = sum(site.values for site in sited.sites) * len(images)

    def at(theta: float) -> tuple[list[PcaQuantizer], list[NDArray[np.int64]], float]:
        quantizers = [
            PcaQuantizer(site, basis, mean, theta / float(np.sqrt(max(g, 1e-30))))
            for site, (basis, mean), g in zip(sited.sites, moments, sensitivity, strict=True)
        ]
        counts = count_symbols(network, sited, quantizers, images, progress)
        return quantizers, counts, sum(map(entropy_bits, counts)) / values

    low, high = (np.log(theta) for theta in _FIRST_THETA)
    for _ in range(_BISECTIONS + 8):
        middle = (low + high) / 2
        quantizers, counts, bits = at(float(np.exp(middle)))
        # A Huffman code of symbols with one dominant value costs a few hundredths of a bit more than the entropy.
        if abs(bits - 0.97 * target_bits) < 0.01 * target_bits:
            break
        low, high = (low, middle) if bits < 0.97 * target_bits else (middle, high)
    return quantizers, counts


def fisher_sensitivity(network: Network, sited: SitedNetwork, images: NDArray[np.uint8], seed: int) -> list[float]:
    """Return g_l of every site: the mean of its Fisher information over channels, in real units."""
    ranges = choose_ranges(sited, input_batches(network, images, _FISHER_BATCH, "ranges", False), seed)
    batches = input_batches(network, images, _FISHER_BATCH, "calibration", False)
    statistics = calibrate(sited, ranges, batches, images=len(images), block=64, seed=seed)
    return [
        float(np.mean(np.concatenate([np.diag(G) for G in site.fisher]))) / site.range.scale**2 for site in statistics
    ]


def multiplications(site: SiteSpec) -> int:
    """Multiplications of an image to encode a site, and as many to decode it: C a value."""
    return site.values * site.channels


def transform_bits(site: SiteSpec) -> int:
    """Bits of a site's transform in memory: U for either direction at 8 bits an entry, the mean at 32 a channel."""
    return 8 * site.channels * (2 * site.channels + 4)


@torch.no_grad()
def _moments(
    network: Network, sited: SitedNetwork, images: NDArray[np.uint8], progress: bool
) -> list[tuple[Tensor, Tensor]]:
    """Return eigenvectors as columns and the mean of every site."""
    squares = [torch.zeros(s.channels, s.channels, dtype=torch.float64) for s in sited.sites]
    sums = [torch.zeros(s.channels, dtype=torch.float64) for s in sited.sites]

    def look(site: int, tensor: Tensor) -> Tensor:
        rows = tensor.permute(0, 2, 3, 1).reshape(-1, tensor.shape[1])
        squares[site] += (rows.T @ rows).double()
        sums[site] += rows.sum(0, dtype=torch.float64)
        return tensor

    for x in input_batches(network, images, _BATCH, "moments", progress):
        sited(x, look)
    found = []
    for site, square, total in zip(sited.sites, squares, sums, strict=True):
        count = len(images) * site.height * site.width
        mean = total / count
        _, vectors = torch.linalg.eigh(square / count - torch.outer(mean, mean))
        found.append((vectors.flip(1).float(), mean.float()))
    return found
