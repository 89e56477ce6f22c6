"""Block-wise reconstruction: the codecs of one piece of the network at a time, against what it gives uncompressed.

A piece goes from one cut (a site behind which nothing else is needed: a block output of a residual network) to the
next. Its input is what the pieces before it, compressed and trained already, really give; its target their
uncompressed output. With i over images, channels and positions:

    minimise  Σ_i w_i·(a_i − â_i)²/Σ_i w_i·a_i²        w = g² + mean(g²)/4,  g the Fisher direction (`calibrate`)

where what is behind the last cut gets the KL divergence of the logits instead. No backward pass is longer than a piece.

Source: Li et al., "BRECQ: Pushing the Limit of Post-Training Quantization by Block Reconstruction", ICLR 2021: there
weight rounding is learned under weights g²; here P, R and the quantizers' steps are, and the weights are levelled by a
quarter of their mean, since g² of a confident image is almost 0 and then its activations would not count at all.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from actcodec.learn.calibrate import fisher_direction
from actcodec.learn.divergence import kl_divergence
from actcodec.learn.progress import track
from actcodec.learn.recipe import LearnRecipe
from actcodec.learn.tuning.compressed import CompressedNetwork
from actcodec.networks import Network, SitedNetwork
from actcodec.networks.stages import StagedNetwork

_BATCH = 32
_CHUNK = 128
_LEVEL = 0.25


def reconstruct(
    compressed: CompressedNetwork,
    teacher: SitedNetwork,
    network: Network,
    images: NDArray[np.uint8],
    recipe: LearnRecipe,
    seed: int,
    progress: bool = True,
) -> None:
    """Train the layers of ``compressed`` in place, piece by piece, on ``images`` (N, H, W, C)."""
    staged, original = StagedNetwork(compressed.sited), StagedNetwork(teacher)
    cuts: list[int | None] = [None, *staged.cuts]
    if not staged.cuts or staged.cuts[-1] != staged.order[-1]:
        cuts.append(None)
    generator = torch.Generator().manual_seed(seed)
    x = network.inputs(images)
    target = x
    pieces = list(itertools.pairwise(cuts))
    for first, last in track(iter(pieces), "block-wise", len(pieces), progress):
        with torch.no_grad():
            target = torch.cat([original.between(first, last, part) for part in torch.split(target, _CHUNK)])
        parameters = [
            p
            for site in staged.sites_between(first, last)
            for p in compressed.layers[site].parameters()
            if p.requires_grad
        ]
        if parameters:
            weight = None if last is None else _importance(original, last, target, generator)
            _fit(staged, compressed, (first, last), x, target, weight, parameters, recipe, generator)
        with torch.no_grad():
            x = torch.cat([staged.between(first, last, part, compressed.code) for part in torch.split(x, _CHUNK)])


def _importance(original: StagedNetwork, site: int, target: Tensor, generator: torch.Generator) -> Tensor:
    """Return w for the tensor ``target`` of cut ``site``, mean 1."""
    parts = []
    for part in torch.split(target, _CHUNK):
        leaf = part.detach().requires_grad_()
        logits = original.between(site, None, leaf)
        (gradient,) = torch.autograd.grad(logits, leaf, fisher_direction(logits.detach(), generator))
        parts.append(gradient.square())
    weight = torch.cat(parts)
    weight += _LEVEL * weight.mean() + 1e-30
    return weight / weight.mean()


def _fit(
    staged: StagedNetwork,
    compressed: CompressedNetwork,
    piece: tuple[int | None, int | None],
    x: Tensor,
    target: Tensor,
    weight: Tensor | None,
    parameters: list[torch.nn.Parameter],
    recipe: LearnRecipe,
    generator: torch.Generator,
) -> None:
    optimizer = torch.optim.Adam(parameters, lr=recipe.block_rate, betas=(0.9, 0.99))
    steps = recipe.block_epochs * math.ceil(len(x) / _BATCH)
    size = 1.0 if weight is None else float((weight * target.square()).mean().clamp_min(1e-12))
    for step, chosen in enumerate(_batches(len(x), recipe.block_epochs, generator)):
        optimizer.param_groups[0]["lr"] = recipe.block_rate * 0.5 * (1 + math.cos(math.pi * step / steps))
        out = staged.between(*piece, x[chosen], compressed.code)
        if weight is None:
            loss = kl_divergence(target[chosen], out).mean()
        else:
            loss = (weight[chosen] * (out - target[chosen]).square()).mean() / size
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def _batches(count: int, epochs: int, generator: torch.Generator) -> Iterator[Tensor]:
    for _ in range(epochs):
        yield from torch.split(torch.randperm(count, generator=generator), _BATCH)
