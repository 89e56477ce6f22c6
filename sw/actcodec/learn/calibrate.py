"""Statistics of every site over calibration images, in one pass: moments, Fisher information, a sample.

All in units of the reference byte x (`quantize8`), pooled over images and positions, block by block of channels:

    mean, covariance    μ = E[x],  S = E[(x−μ)(x−μ)ᵀ]      sums are of x − c, c near the mean of the first batch
    Fisher information  G = E[g gᵀ],  g = Jᵀ·Σ_y ε_y √p_y (e_y − p),  J = ∂logits/∂x, p = softmax, ε_y = ±1 at random

E over ε of g gᵀ is Jᵀ(diag p − p pᵀ)J, the Hessian of the KL divergence to the network's own output, as with labels
drawn from p, but with less variance for the same number of backward passes. To second order an error e at one
position costs ½ eᵀGe.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from actcodec.learn.quantize8 import ActivationRange
from actcodec.networks import SitedNetwork, SiteSpec

FloatArray = NDArray[np.float64]

_FISHER_DRAWS = 2


def block_slices(channels: int, block: int) -> tuple[slice, ...]:
    """Cut ``channels`` in stored order into contiguous blocks of at most ``block``."""
    return tuple(slice(start, min(start + block, channels)) for start in range(0, channels, block))


@dataclass(frozen=True, eq=False)
class SiteStatistics:
    """What calibration knows of one site: C channels in J blocks, the j-th of c_j.

    ``mean`` (C,), ``covariance`` and ``fisher`` J matrices (c_j, c_j), ``sample`` (M, C) of x, bytes. With
    ``pre_activation`` x is what the convolution computes in steps of the byte, neither rounded nor clamped, and
    the sample is float32.
    """

    site: SiteSpec
    range: ActivationRange
    blocks: tuple[slice, ...]
    mean: FloatArray
    covariance: tuple[FloatArray, ...]
    fisher: tuple[FloatArray, ...]
    sample: NDArray[np.uint8] | NDArray[np.float32]
    pre_activation: bool = False


def calibrate(
    sited: SitedNetwork,
    ranges: tuple[ActivationRange, ...],
    inputs: Iterable[Tensor],
    *,
    images: int,
    block: int,
    seed: int,
    positions: int = 8_192,
    folded: Collection[int] = (),
) -> tuple[SiteStatistics, ...]:
    """Return the statistics of every site over ``inputs``, ``images`` images in all.

    ``positions`` bounds the sample of a site; it is drawn evenly over the images. Sites with an index in ``folded``
    have their tap in front of the activation, in ``sited`` and here.
    """
    generator = torch.Generator().manual_seed(seed)
    # A batch's share is rounded up, so that at most one position an image comes to them.
    size = positions + images
    collectors = [_Collector(site, ranges[site.index], block, site.index in folded, size) for site in sited.sites]
    for x in inputs:
        _collect(sited, x, collectors, -(-positions * len(x) // images), generator)
    return tuple(collector.finish() for collector in collectors)


def _collect(
    sited: SitedNetwork, x: Tensor, collectors: Sequence[_Collector], share: int, generator: torch.Generator
) -> None:
    """Add what a batch tells; its graph is gone on return, before that of the next one is made."""
    stored: dict[int, Tensor] = {}
    starts: list[int] = []

    def keep(index: int, tensor: Tensor) -> Tensor:
        # Weights are frozen: the first site is where the graph of gradients has to begin.
        if not tensor.requires_grad:
            tensor = tensor.detach().requires_grad_()
            starts.append(index)
        stored[index] = tensor
        return tensor

    logits = sited(x, keep)
    # In the order of the sites, which need not be that in which their tensors were finished.
    for collector, site in zip(collectors, sited.sites, strict=True):
        tensor = stored[site.index]
        collector.add_activation(tensor.detach(), share, generator)
        if site.index not in starts:
            # Taken as it passes by: the gradients of all sites together are as large as their activations.
            tensor.register_hook(collector.add_gradient)  # type: ignore[no-untyped-call]
    for draw in range(_FISHER_DRAWS):
        gradients = torch.autograd.grad(
            logits,
            [stored[index] for index in starts],
            fisher_direction(logits.detach(), generator),
            retain_graph=draw + 1 < _FISHER_DRAWS,
        )
        for index, gradient in zip(starts, gradients, strict=True):
            collectors[index].add_gradient(gradient)


def fisher_direction(logits: Tensor, generator: torch.Generator) -> Tensor:
    """Return Σ_y ε_y √p_y (e_y − p) for every row of logits N×classes."""
    p = torch.softmax(logits, 1)
    signs = torch.randint(0, 2, p.shape, generator=generator, dtype=p.dtype) * 2 - 1
    weighted = signs * p.sqrt()
    return weighted - weighted.sum(1, keepdim=True) * p


def by_variance(statistics: SiteStatistics) -> SiteStatistics:
    """Return ``statistics`` with G = I·C/tr S for its Fisher information: an error costs the share of the site's
    variance that it is, in every site and direction alike.
    """
    variance = sum(float(np.trace(S)) for S in statistics.covariance) / statistics.site.channels
    weight = 1 / max(variance, np.finfo(np.float64).eps)
    return replace(statistics, fisher=tuple(weight * np.eye(len(S)) for S in statistics.covariance))


class _Collector:
    """Running sums of one site."""

    def __init__(self, site: SiteSpec, range_: ActivationRange, block: int, pre_activation: bool, size: int) -> None:
        self._site, self._range, self._pre_activation = site, range_, pre_activation
        self._blocks = block_slices(site.channels, block)
        self._count = self._gradients = 0
        self._centre: Tensor | None = None
        self._sum = np.zeros(site.channels)
        sizes = [s.stop - s.start for s in self._blocks]
        self._squares = [np.zeros((c, c)) for c in sizes]
        self._fisher = [np.zeros((c, c)) for c in sizes]
        # In one piece from the start: small arrays between large ones that come and go keep the heap from shrinking.
        self._sample = np.empty((size, site.channels), np.float32 if pre_activation else np.uint8)
        self._sampled = 0

    def add_activation(self, activation: Tensor, share: int, generator: torch.Generator) -> None:
        """Add a batch N×C×H×W of real activations, ``share`` positions of which go to the sample."""
        r = self._range
        x = _rows(activation / r.scale + r.zero if self._pre_activation else r.quantize(activation))
        places = torch.randint(len(x), (share,), generator=generator)
        sample = x[places]
        if self._centre is None:
            # Whole, so that a centred byte is exact; around it the squares are no larger than what they vary by.
            self._centre = x.mean(0).round()
        x = x - self._centre
        self._count += len(x)
        self._sum += x.sum(0, dtype=torch.float64).numpy()
        for total, s in zip(self._squares, self._blocks, strict=True):
            total += _gram(x[:, s])
        self._sample[self._sampled : self._sampled + share] = sample.numpy()
        self._sampled += share

    def add_gradient(self, gradient: Tensor) -> None:
        """Add a batch N×C×H×W of gradients by the real activation; ∂/∂x = scale·∂/∂a."""
        g = _rows(gradient * self._range.scale)
        self._gradients += len(g)
        for total, s in zip(self._fisher, self._blocks, strict=True):
            total += _gram(g[:, s])

    def finish(self) -> SiteStatistics:
        assert self._centre is not None
        mean = self._sum / self._count
        return SiteStatistics(
            site=self._site,
            range=self._range,
            blocks=self._blocks,
            mean=mean + self._centre.double().numpy(),
            covariance=tuple(
                total / self._count - np.outer(mean[s], mean[s])
                for total, s in zip(self._squares, self._blocks, strict=True)
            ),
            fisher=tuple(total / self._gradients for total in self._fisher),
            sample=self._sample[: self._sampled],
            pre_activation=self._pre_activation,
        )


def _rows(tensor: Tensor) -> Tensor:
    """View N×C×H×W as positions × channels."""
    return tensor.permute(0, 2, 3, 1).reshape(-1, tensor.shape[1])


def _gram(rows: Tensor) -> FloatArray:
    return np.asarray((rows.T @ rows).numpy(), np.float64)
