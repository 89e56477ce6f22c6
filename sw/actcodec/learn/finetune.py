"""Fine-tuning the codecs of all sites together; the network's weights stay frozen.

    minimise over every P, bias, R, bias_out    KL(network ‖ compressed network) + γ·Σ_l ‖a_l − â_l‖²/‖a_l‖² / L

Straight-through rounding, Adam, a cosine schedule. Every epoch draws its order and augmentation from (seed, epoch), so
a resumed run ends in the same bytes. The epoch with the least divergence on the selection images is kept; the
plan that came in counts as epoch 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from actcodec.data import Dataset
from actcodec.data.augment import augmentation
from actcodec.learn.batches import input_batches
from actcodec.learn.checkpoint import load_checkpoint, save_checkpoint
from actcodec.learn.codec_layer import CodecLayer
from actcodec.learn.divergence import kl_divergence
from actcodec.learn.plan import Plan, plan_sha256
from actcodec.learn.progress import track
from actcodec.learn.recipe import LearnRecipe
from actcodec.networks import Network, SitedNetwork

_SELECTION_BATCH = 250


class CompressedNetwork(nn.Module):
    """``sited`` with a CodecLayer at every site."""

    def __init__(self, sited: SitedNetwork, plan: Plan) -> None:
        super().__init__()
        self.sited = sited
        self.layers = nn.ModuleList(CodecLayer(site) for site in plan.sites)

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs N×C×H×W to logits through compressed sites."""
        return self.sited(x, lambda index, tensor: self.layers[index](tensor))  # type: ignore[no-any-return]

    def with_reconstruction(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and the mean over sites of ‖a − â‖²/‖a‖²."""
        errors: list[Tensor] = []

        def code(index: int, tensor: Tensor) -> Tensor:
            out: Tensor = self.layers[index](tensor)
            errors.append((tensor - out).square().mean() / tensor.detach().square().mean().clamp_min(1e-12))
            return out

        return self.sited(x, code), torch.stack(errors).mean()


@torch.no_grad()
def plan_divergence(
    compressed: CompressedNetwork, network: Network, images: NDArray[np.uint8], progress: bool = True
) -> float:
    """Return the mean KL divergence over ``images``, in nats, of the compressed from the uncompressed network."""
    total = 0.0
    for x in input_batches(network, images, _SELECTION_BATCH, "divergence", progress):
        total += float(kl_divergence(compressed.sited(x), compressed(x)).sum())
    return total / len(images)


def finetune(
    plan: Plan,
    sited: SitedNetwork,
    network: Network,
    train: Dataset,
    selection: NDArray[np.uint8],
    recipe: LearnRecipe,
    seed: int,
    state: Path | None = None,
    progress: bool = True,
) -> Plan:
    """Return ``plan`` with P, bias, R and bias_out fine-tuned; widths and geometry stay.

    Training images are the last ``recipe.images`` of ``train``, apart from the selection images at its front where
    there are enough. ``state`` is a file that is written after every epoch and taken up if it exists.
    Raises ActcodecError where ``state`` is of another plan, recipe or seed.
    """
    run = _Run(CompressedNetwork(sited, plan), recipe, seed)
    header: dict[str, Any] = {"plan": plan_sha256(plan), "seed": seed, "recipe": recipe.model_dump(mode="json")}
    if state is not None and state.exists():
        run.restore(*load_checkpoint(state, header))
    else:
        run.consider(0, plan_divergence(run.compressed, network, selection, progress))
    pool = Dataset(train.name, train.images[-recipe.images :], train.labels[-recipe.images :], train.classes)
    for epoch in range(run.epochs_done, recipe.epochs):
        run.epoch(network, pool, epoch, progress)
        run.consider(epoch + 1, plan_divergence(run.compressed, network, selection, progress))
        if state is not None:
            save_checkpoint(state, run.state(), {**header, **run.progress()})
    sites = run.best_sites()
    if state is not None:
        state.unlink(missing_ok=True)
    provenance = plan.provenance.model_copy(update={"finetune_images": len(pool), "epochs": recipe.epochs})
    return replace(plan, sites=sites, provenance=provenance)


class _Run:
    """The codecs on their way through the epochs, and the best of them so far."""

    def __init__(self, compressed: CompressedNetwork, recipe: LearnRecipe, seed: int) -> None:
        self.compressed, self._recipe, self._seed = compressed, recipe, seed
        self._names = [name for name, p in compressed.named_parameters() if p.requires_grad]
        parameters = dict(compressed.named_parameters())
        self._parameters = [parameters[name] for name in self._names]
        self._optimizer = torch.optim.Adam(self._parameters, lr=recipe.rate, betas=(0.9, 0.99))
        self.epochs_done = 0
        self._best_divergence = math.inf
        self._best: dict[str, Tensor] = {}

    def epoch(self, network: Network, pool: Dataset, epoch: int, progress: bool) -> None:
        """Go once through ``pool``."""
        steps = math.ceil(len(pool) / self._recipe.batch)
        batches = self._batches(network, pool, np.random.default_rng([self._seed, epoch, 0xF17E]))
        title = f"fine-tuning {epoch + 1}/{self._recipe.epochs}"
        for step, x in enumerate(track(batches, title, steps, progress)):
            done = (epoch + step / steps) / self._recipe.epochs
            self._optimizer.param_groups[0]["lr"] = self._recipe.rate * 0.5 * (1 + math.cos(math.pi * done))
            with torch.no_grad():
                reference = self.compressed.sited(x)
            loss = self._loss(reference, x)
            self._optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
        self.epochs_done = epoch + 1

    def _loss(self, reference: Tensor, x: Tensor) -> Tensor:
        if self._recipe.reconstruction == 0:
            return kl_divergence(reference, self.compressed(x)).mean()
        logits, error = self.compressed.with_reconstruction(x)
        return kl_divergence(reference, logits).mean() + self._recipe.reconstruction * error

    def _batches(self, network: Network, pool: Dataset, rng: np.random.Generator) -> Iterator[Tensor]:
        order = rng.permutation(len(pool))
        recipe = augmentation(pool.name)
        for start in range(0, len(pool), self._recipe.batch):
            yield network.inputs(recipe.apply(pool.images[order[start : start + self._recipe.batch]], rng))

    def consider(self, epoch: int, divergence: float) -> None:
        """Keep the present numbers if they are the best so far."""
        self.epochs_done = epoch
        if divergence < self._best_divergence:
            self._best_divergence = divergence
            self._best = {n: p.detach().clone() for n, p in zip(self._names, self._parameters, strict=True)}

    def best_sites(self) -> Any:
        """Return the site plans of the best epoch."""
        with torch.no_grad():
            for name, parameter in zip(self._names, self._parameters, strict=True):
                parameter.copy_(self._best[name])
        return tuple(layer.to_plan() for layer in self.compressed.layers)  # type: ignore[operator]

    def progress(self) -> dict[str, Any]:
        """Return what the header of a checkpoint says of the way so far."""
        return {"epochs_done": self.epochs_done, "best_divergence": self._best_divergence}

    def state(self) -> dict[str, Tensor]:
        """Return parameters, the best ones and Adam's moments under flat names."""
        tensors: dict[str, Tensor] = {}
        for name, parameter in zip(self._names, self._parameters, strict=True):
            tensors[f"now.{name}"], tensors[f"best.{name}"] = parameter.detach(), self._best[name]
            for moment, value in self._optimizer.state[parameter].items():
                tensors[f"adam.{moment}.{name}"] = value
        return tensors

    def restore(self, tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
        """Take up what ``state`` and ``progress`` wrote."""
        self.epochs_done = int(header["epochs_done"])
        self._best_divergence = float(header["best_divergence"])
        with torch.no_grad():
            for name, parameter in zip(self._names, self._parameters, strict=True):
                parameter.copy_(tensors[f"now.{name}"])
                self._best[name] = tensors[f"best.{name}"]
                self._optimizer.state[parameter] = {
                    moment: tensors[f"adam.{moment}.{name}"] for moment in ("step", "exp_avg", "exp_avg_sq")
                }
