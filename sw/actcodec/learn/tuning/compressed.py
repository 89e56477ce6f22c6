"""A network with a trainable layer at every site."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from actcodec.learn.batches import input_batches
from actcodec.learn.distributed import ALONE, World
from actcodec.learn.divergence import kl_divergence
from actcodec.learn.plan import SitePlan
from actcodec.learn.tuning.layer import CodecLayer
from actcodec.networks import Network, SitedNetwork

_SELECTION_BATCH = 250


class CompressedNetwork(nn.Module):
    """``sited`` with ``layers[i]`` at site i."""

    def __init__(self, sited: SitedNetwork, layers: Iterable[nn.Module]) -> None:
        super().__init__()
        self.sited = sited
        self.layers = nn.ModuleList(layers)

    @classmethod
    def of_plan(cls, sited: SitedNetwork, sites: Iterable[SitePlan]) -> CompressedNetwork:
        """Return ``sited`` with the codec of every site's plan."""
        return cls(sited, (CodecLayer(site) for site in sites))

    def plans(self) -> tuple[SitePlan, ...]:
        """Return every site's plan with the numbers as they are now learned; all layers have to be codecs."""
        return tuple(layer.to_plan() for layer in self.layers)  # type: ignore[operator]

    def code(self, site: int, tensor: Tensor) -> Tensor:
        """Return what readers of ``site`` get for its tensor N×C×H×W."""
        return self.layers[site](tensor)  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs N×C×H×W to logits through compressed sites."""
        return self.sited(x, self.code)  # type: ignore[no-any-return]

    def with_penalty(
        self, x: Tensor, reconstruction: float, whole: Callable[[Tensor], Tensor] = lambda means: means
    ) -> tuple[Tensor, Tensor]:
        """Return logits and γ·mean over sites of ‖a − â‖²/‖a‖², γ = ``reconstruction``.

        Where ``x`` is a part of a batch, ``whole`` turns means over it into those over the batch, which ‖a‖² is of.
        """
        errors: list[Tensor] = []
        sizes: list[Tensor] = []

        def code(site: int, tensor: Tensor) -> Tensor:
            out = self.code(site, tensor)
            sizes.append(tensor.detach().square().mean())
            errors.append((tensor - out).square().mean())
            return out

        if not reconstruction:
            logits = self(x)
            return logits, logits.new_zeros(())
        logits = self.sited(x, code)
        return logits, reconstruction * (torch.stack(errors) / whole(torch.stack(sizes)).clamp_min(1e-12)).mean()


@torch.no_grad()
def selection_divergence(
    compressed: CompressedNetwork,
    teacher: SitedNetwork,
    network: Network,
    images: NDArray[np.uint8],
    progress: bool = True,
    world: World = ALONE,
) -> float:
    """Return the mean KL divergence over ``images``, in nats, of ``compressed`` from ``teacher``.

    Every process of ``world`` measures its part of them.
    """
    device = next(compressed.parameters()).device
    total = 0.0
    for x in input_batches(network, images[world.part(len(images))], _SELECTION_BATCH, "divergence", progress):
        x = x.to(device)
        total += float(kl_divergence(teacher(x), compressed(x)).sum())
    return float(world.sum(torch.tensor(total, dtype=torch.float64))) / len(images)
